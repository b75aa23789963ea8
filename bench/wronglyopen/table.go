package main

import (
	"fmt"
	"strings"
	"time"
)

// windows are those of the table and of the plot. The last one is RecoveryTimeout: with
// it an opinion is remembered for as long as a layer is open.
func windows() []time.Duration {
	return []time.Duration{5 * time.Second, 10 * time.Second, 30 * time.Second}
}

// lengths are those of glitches.
func lengths() []time.Duration {
	return []time.Duration{time.Second, 10 * time.Second, time.Minute}
}

// table is that of docs/wrongly-open.md.
func table() string {
	var t strings.Builder
	fmt.Fprint(&t, "| glitches of one replica | each lasts | any replica opens |")
	for _, w := range windows() {
		fmt.Fprintf(&t, " `Window` %s |", short(w))
	}
	fmt.Fprintf(&t, "\n|---|---|---|%s\n", strings.Repeat("---|", len(windows())))
	for _, every := range []time.Duration{24 * time.Hour, time.Hour, 10 * time.Minute, 100 * time.Second} {
		for _, long := range lengths() {
			fmt.Fprintf(&t, "| every %s | %s | %s |", short(every), short(long), percent(usual(every, long, windows()[0]).byAny()))
			for _, w := range windows() {
				fmt.Fprintf(&t, " %s |", percent(usual(every, long, w).wrongly()))
			}
			fmt.Fprintln(&t)
		}
	}
	fmt.Fprint(&t, "\n| replicas | any replica opens | `Window` 10 s |\n|---|---|---|\n")
	for _, n := range []int{2, 3, 5, 10, 20, 50, 100} {
		s := usual(10*time.Minute, 10*time.Second, 10*time.Second)
		s.replicas = n
		fmt.Fprintf(&t, "| %d | %s | %s |\n", n, percent(s.byAny()), percent(s.wrongly()))
	}
	return t.String()
}

// short is a time as people write it.
func short(d time.Duration) string {
	switch {
	case d%(24*time.Hour) == 0:
		return plural(d/(24*time.Hour), "day")
	case d%time.Hour == 0:
		return plural(d/time.Hour, "hour")
	case d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	default:
		return fmt.Sprintf("%d s", d/time.Second)
	}
}

func plural(n time.Duration, what string) string {
	if n == 1 {
		return what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// percent is a share with two digits that say something.
func percent(share float64) string {
	if share >= 0.001 {
		return fmt.Sprintf("%.2g %%", 100*share)
	}
	return fmt.Sprintf("%.1e", share)
}
