package policy

import (
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

func limitForm() form[domain.RateLimit] {
	type r = domain.RateLimit
	return form[r]{
		bare:     "a rate",
		bareName: "limit",
		setBare:  func(p *r, a arg) (err error) { p.Limit, err = parseLimit(a); return err },
		fields: []field[r]{
			{name: "burst", set: burst, many: true},
			{name: "also", set: also, many: true},
			text("name", func(p *r) *string { return &p.Name }),
			flag("keyed", func(p *r) *bool { return &p.Keyed }),
			choice("outage", func(p *r) *domain.Outage { return &p.Outage },
				domain.OutageLocalShare, domain.OutageOpen, domain.OutageClosed),
			choice("carry", func(p *r) *domain.Carry { return &p.Carry },
				domain.CarryProportion, domain.CarryTokens, domain.CarryReset),
			long("first_fill", func(p *r) *int64 { return &p.FirstFill }),
			duration("max_wait", func(p *r) *time.Duration { return &p.MaxWait }),
			flag("shadow", func(p *r) *bool { return &p.Shadow }),
			flag("lease", func(p *r) *bool { return &p.Lease }),
			long("version", func(p *r) *int64 { return &p.Version }),
		},
	}
}

// last is the band that stands last so far.
func last(p *domain.RateLimit) *domain.Limit {
	band := &p.Limit
	for i := range p.Also {
		if p.Also[i] != (domain.Limit{}) {
			band = &p.Also[i]
		}
	}
	return band
}

// burst is that of the band before it.
func burst(p *domain.RateLimit, a arg) error {
	band := last(p)
	if band.Burst != 0 {
		return &SyntaxError{Position: a.name.at, Problem: "the rate before it has a burst already"}
	}
	n, err := parseInt(a)
	if err == nil && n <= 0 {
		err = wrong(a, "a number above 0")
	}
	band.Burst = n
	return err
}

// also is a further band.
func also(p *domain.RateLimit, a arg) error {
	for i := range p.Also {
		if p.Also[i] == (domain.Limit{}) {
			band, err := parseLimit(a)
			if err == nil && band == (domain.Limit{}) {
				err = wrong(a, "a rate above 0")
			}
			p.Also[i] = band
			return err
		}
	}
	return &SyntaxError{Position: a.name.at, Problem: "there are more bands than a limit can have"}
}
