package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// The plot: a panel for each length of a glitch, on the axes how often one replica has
// them and for how much of its time the fleet is wrongly open, both logarithmic.
const (
	panelWide, panelHigh = 250.0, 300.0
	panelGap, leftEdge   = 30.0, 70.0
	topEdge, bottomEdge  = 50.0, 95.0
	rarest, oftenest     = 86400.0, 30.0 // seconds between glitches
	lowest               = -12.0         // the exponent of the smallest share
	points               = 60            // of a curve
)

// A curve is one line of a panel.
type curve struct {
	name, color string
	share       func(every, long time.Duration) float64
}

func curves() []curve {
	colors := []string{"#1b7837", "#2166ac", "#b2182b"}
	all := make([]curve, 0, 1+len(colors))
	all = append(all, curve{"any replica opens", "#777777", func(every, long time.Duration) float64 {
		return usual(every, long, windows()[0]).byAny()
	}})
	for i, w := range windows() {
		all = append(all, curve{"Window " + short(w), colors[i], func(every, long time.Duration) float64 {
			return usual(every, long, w).wrongly()
		}})
	}
	return all
}

// plot is the plot, as SVG.
func plot() string {
	var p strings.Builder
	wide := leftEdge + float64(len(lengths()))*(panelWide+panelGap)
	high := topEdge + panelHigh + bottomEdge
	fmt.Fprintf(&p, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f"`, wide, high)
	fmt.Fprintln(&p, ` font-family="sans-serif" font-size="12" role="img">`)
	fmt.Fprintln(&p, "<title>The share of time in which ten replicas are wrongly open, by how often one of them has a glitch</title>")
	fmt.Fprintf(&p, `<rect width="%.0f" height="%.0f" fill="#ffffff"/>`+"\n", wide, high)
	for i, long := range lengths() {
		panel(&p, leftEdge+float64(i)*(panelWide+panelGap), long, i == 0)
	}
	text(&p, wide/2, topEdge+panelHigh+40, "middle", "time between two glitches of one replica")
	for i, c := range curves() {
		x, y := leftEdge+float64(i)*190, topEdge+panelHigh+70
		fmt.Fprintf(&p, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="2"/>`+"\n", x, y-4, x+24, y-4, c.color)
		text(&p, x+30, y, "start", c.name)
	}
	fmt.Fprintln(&p, "</svg>")
	return p.String()
}

// panel draws the panel of one length of a glitch.
func panel(p *strings.Builder, left float64, long time.Duration, labelled bool) {
	text(p, left+panelWide/2, topEdge-15, "middle", "glitches of "+short(long))
	for exponent := 0.0; exponent >= lowest; exponent -= 2 {
		y := yOf(exponent)
		fmt.Fprintf(p, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#dddddd"/>`+"\n", left, y, left+panelWide, y)
		if labelled {
			text(p, left-8, y+4, "end", fmt.Sprintf("1e%.0f", exponent))
		}
	}
	for _, every := range []time.Duration{24 * time.Hour, time.Hour, 10 * time.Minute, time.Minute} {
		x := left + xOf(every.Seconds())
		fmt.Fprintf(p, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#dddddd"/>`+"\n", x, topEdge, x, topEdge+panelHigh)
		text(p, x, topEdge+panelHigh+18, "middle", short(every))
	}
	for _, c := range curves() {
		fmt.Fprintf(p, `<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>`+"\n", c.color, c.points(left, long))
	}
	fmt.Fprintf(p, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f"`, left, topEdge, panelWide, panelHigh)
	fmt.Fprintln(p, ` fill="none" stroke="#000000"/>`)
}

// points are those of c that lie in the panel.
func (c curve) points(left float64, long time.Duration) string {
	var inside []string
	for i := range points + 1 {
		every := rarest * math.Pow(oftenest/rarest, float64(i)/points)
		exponent := math.Log10(c.share(time.Duration(every*float64(time.Second)), long))
		if exponent >= lowest {
			inside = append(inside, fmt.Sprintf("%.1f,%.1f", left+xOf(every), yOf(exponent)))
		}
	}
	return strings.Join(inside, " ")
}

func xOf(seconds float64) float64 {
	return panelWide * math.Log(rarest/seconds) / math.Log(rarest/oftenest)
}

func yOf(exponent float64) float64 { return topEdge + panelHigh*exponent/lowest }

func text(p *strings.Builder, x, y float64, anchor, what string) {
	fmt.Fprintf(p, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", x, y, anchor, what)
}
