package scrape

import (
	"log/slog"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// well is how a fleet of two looks that has nothing to tell.
var well = []string{
	`holdfast_store_up{job="shop",instance="a"} 1x480`,
	`holdfast_store_up{job="shop",instance="b"} 1x480`,
	`holdfast_store_call_duration_seconds_count{job="shop",instance="a",op="bucket_take"} 0+5x480`,
	`holdfast_store_call_duration_seconds_bucket{job="shop",instance="a",op="bucket_take",le="0.01"} 0+5x480`,
	`holdfast_store_call_duration_seconds_bucket{job="shop",instance="a",op="bucket_take",le="+Inf"} 0+5x480`,
	`holdfast_breaker_state{job="shop",instance="a",breaker="b",scope="replica",state="open"} 0x480`,
	`holdfast_breaker_state{job="shop",instance="a",breaker="b",scope="fleet",state="open"} 0x480`,
	`holdfast_breaker_state{job="shop",instance="a",breaker="b",scope="fleet",state="closed"} 1x480`,
	`holdfast_breaker_override{job="shop",instance="a",breaker="b",force="open"} 0x480`,
	`holdfast_limit_decisions_total{job="shop",instance="a",guard="g",limit="l",result="allowed",degraded="false"} 0+9x480`,
	`holdfast_limit_decisions_total{job="shop",instance="a",guard="g",limit="l",result="allowed",degraded="true"} 0x480`,
	`holdfast_limit_decisions_total{job="shop",instance="a",guard="g",limit="l",result="refused",degraded="false"} 0+1x480`,
	`holdfast_retry_decisions_total{job="shop",instance="a",guard="g",budget="r",result="again"} 0+1x480`,
	`holdfast_retry_decisions_total{job="shop",instance="a",guard="g",budget="r",result="budget_empty"} 0x480`,
	`holdfast_exclusive_losses_total{job="shop",instance="a",guard="g",exclusive="e"} 0x480`,
	`holdfast_breaker_calls_unprotected_total{job="shop",instance="a",breaker="k"} 0x480`,
}

// troubles are what becomes of some series where an alert is to fire.
var troubles = map[string][]string{
	"HoldfastStoreDown":          {`holdfast_store_up{job="shop",instance="b"} 0x480`},
	"HoldfastStoreMisconfigured": {`holdfast_store_call_duration_seconds_count{job="shop",instance="a",op="bucket_take",error_type="store_config"} 0+1x480`},
	"HoldfastStoreSlow":          {`holdfast_store_call_duration_seconds_bucket{job="shop",instance="a",op="bucket_take",le="+Inf"} 0+9x480`, `holdfast_store_call_duration_seconds_bucket{job="shop",instance="a",op="bucket_take",le="0.1"} 0+9x480`},
	"HoldfastBreakerOpen":        {`holdfast_breaker_state{job="shop",instance="a",breaker="b",scope="fleet",state="open"} 1x480`, `holdfast_breaker_state{job="shop",instance="a",breaker="b",scope="fleet",state="closed"} 0x480`},
	"HoldfastReplicaAlone":       {`holdfast_breaker_state{job="shop",instance="a",breaker="b",scope="replica",state="open"} 1x480`},
	"HoldfastOverrideForgotten":  {`holdfast_breaker_override{job="shop",instance="a",breaker="b",force="open"} 1x480`},
	"HoldfastLimitRefuses":       {`holdfast_limit_decisions_total{job="shop",instance="a",guard="g",limit="l",result="refused",degraded="false"} 0+30x480`},
	"HoldfastLimitDegraded":      {`holdfast_limit_decisions_total{job="shop",instance="a",guard="g",limit="l",result="allowed",degraded="true"} 0+1x480`},
	"HoldfastRetryBudgetEmpty":   {`holdfast_retry_decisions_total{job="shop",instance="a",guard="g",budget="r",result="budget_empty"} 0+1x480`},
	"HoldfastLockLost":           {`holdfast_exclusive_losses_total{job="shop",instance="a",guard="g",exclusive="e"} 0x470 1x9`},
	"HoldfastKeysUnprotected":    {`holdfast_breaker_calls_unprotected_total{job="shop",instance="a",breaker="k"} 0+1x480`},
}

// written is a past that is written down; of two lines for one series the later one counts.
func (p *prometheusServer) written(t *testing.T, lines ...[]string) past {
	t.Helper()
	values := make(map[string][]parser.SequenceValue)
	named := make(map[string]labels.Labels)
	for _, line := range slices.Concat(lines...) {
		labelled, all, err := p.parser.ParseSeriesDesc(line)
		if err != nil || len(all) != steps+1 {
			t.Fatalf("%s: %d values, %v", line, len(all), err)
		}
		named[labelled.String()], values[labelled.String()] = labelled, all
	}
	var all past
	for name, labelled := range named {
		all = append(all, series(labelled, func(i int) float64 { return values[name][i].Value }))
	}
	return all
}

// TestAlerts: each names what is there, fires in its trouble, alone, with what its texts
// tell, and is silent while all is well.
func TestAlerts(t *testing.T) {
	server, scraped := newPrometheus(t), pastOf(liveADay(t).prom)
	text, err := os.ReadFile("../../docs/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	groups, errs := rulefmt.Parse(text, false, model.LegacyValidation, server.parser, slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	rules := groups.Groups[0].Rules
	if len(groups.Groups) != 1 || len(rules) != len(troubles) {
		t.Errorf("there are %d groups, and in the first %d rules; want those of %d troubles", len(groups.Groups), len(rules), len(troubles))
	}
	told := regexp.MustCompile(`\$labels\.(\w+)`)
	for _, rule := range rules {
		t.Run(rule.Alert, func(t *testing.T) {
			for _, problem := range existing(server.problems(scraped, rule.Expr)) {
				t.Error(problem)
			}
			if answer := server.query(t, server.written(t, well), rule.Expr); len(answer) > 0 {
				t.Errorf("it fires while all is well: %v", answer)
			}
			for name, trouble := range troubles {
				answer := server.query(t, server.written(t, well, trouble), rule.Expr)
				if (name == rule.Alert) != (len(answer) > 0) {
					t.Errorf("in the trouble of %s it fires %d times", name, len(answer))
				}
				for _, text := range rule.Annotations {
					for _, label := range told.FindAllStringSubmatch(text, -1) {
						if len(answer) > 0 && !answer[0].Metric.Has(label[1]) {
							t.Errorf("%q tells of %s, which it does not have", text, label[1])
						}
					}
				}
			}
		})
	}
}

// existing are problems but for a selector that selects nothing: the day has not had each
// trouble that there is.
func existing(problems []string) []string {
	return slices.DeleteFunc(problems, func(p string) bool { return regexp.MustCompile("selects nothing$").MatchString(p) })
}
