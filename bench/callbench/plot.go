package main

import (
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// chart is a bar chart: for each work one bar of each contestant.
type chart struct {
	file, title, unit string
	works             []string
	names             []string
	bars              []plotter.Values // of each contestant, by work
}

// plots returns the charts of a report.
func (r *results) plots() []chart {
	var charts []chart
	for _, c := range []struct {
		file, title, unit string
		figure            func(sample) float64
		fits              func(work) bool
	}{
		{"small-calls.svg", "Small calls (16 B)", "calls/s", rate, func(w work) bool { return w.Size == 16 && w.Rate == 0 }},
		{"latency.svg", "Median latency, 1 caller", "µs", func(s sample) float64 { return p50(s) * 1e6 },
			func(w work) bool { return w.Callers == 1 && w.Size <= 64<<10 }},
		{"throughput.svg", "1 MiB there and back", "MiB/s each way", func(s sample) float64 { return rate(s) * float64(s.Work.Size) / (1 << 20) },
			func(w work) bool { return w.Size == 1<<20 }},
		{"cpu.svg", "CPU of both sides (16 B)", "ms per 1000 calls", func(s sample) float64 { return cpu(s) * 1000 },
			func(w work) bool { return w.Size == 16 && w.Rate == 0 && w.Callers > 1 }},
		{"open-loop.svg", "p99 at a fixed rate of calls (16 B)", "ms", func(s sample) float64 { return p99(s) * 1000 },
			func(w work) bool { return w.Rate > 0 }},
	} {
		ch := chart{file: c.file, title: c.title, unit: c.unit, names: r.Contestants, bars: make([]plotter.Values, len(r.Contestants))}
		for _, w := range r.works() {
			if !c.fits(w) {
				continue
			}
			ch.works = append(ch.works, w.String())
			for i, name := range r.Contestants {
				ch.bars[i] = append(ch.bars[i], r.figure(name, w, c.figure).Median)
			}
		}
		if len(ch.works) > 0 {
			charts = append(charts, ch)
		}
	}
	return charts
}

// save draws c as an SVG file.
func (c chart) save(file string) error {
	p := plot.New()
	p.Title.Text, p.Y.Label.Text, p.Y.Min = c.title, c.unit, 0
	p.BackgroundColor = color.White
	p.Legend.Top = true
	const width = 9
	for i, values := range c.bars {
		bars, err := plotter.NewBarChart(values, vg.Points(width))
		if err != nil {
			return err
		}
		bars.Color, bars.LineStyle.Width = palette[i%len(palette)], 0
		bars.Offset = vg.Points(width * (float64(i) - float64(len(c.bars)-1)/2))
		p.Add(bars)
		p.Legend.Add(c.names[i], bars)
	}
	p.NominalX(c.works...)
	return p.Save(vg.Points(float64(140+len(c.works)*len(c.bars)*width*3/2)), 9*vg.Centimeter, file)
}

// palette tells the contestants apart, also for those who do not see all colours
// (Okabe and Ito's colours).
var palette = []color.Color{
	color.RGBA{0xd5, 0x5e, 0x00, 0xff}, color.RGBA{0xe6, 0x9f, 0x00, 0xff}, color.RGBA{0x99, 0x99, 0x99, 0xff},
	color.RGBA{0x00, 0x9e, 0x73, 0xff}, color.RGBA{0x00, 0x72, 0xb2, 0xff}, color.RGBA{0x56, 0xb4, 0xe9, 0xff}, color.RGBA{0xcc, 0x79, 0xa7, 0xff},
}
