package main

import "time"

// A draw is settings that were drawn by chance, and written down before any of them was
// simulated: neither the formula nor the tolerance was chosen by them.
//
// All come from 3, 4, 6, 7, 8, 12, 15, 30 replicas; 3, 6, 12 calls a second; glitches every
// 40, 75, 150, 240, 420, 900, 1800 s, of 3, 8, 15, 45, 90, 180 s; windows of 7, 12, 15, 25 s;
// recovery times of 10, 15, 45, 60 s; thresholds of 3, 5, 10; quorums of 0.3, 0.4, 0.5, 0.6,
// 0.75. Only those were kept of which the formula says up to 15 % of the time, and at least
// 150 openings in 200,000 s.
type draw struct {
	of       string
	seed     uint64 // of the first simulation
	settings []setting
}

// draws are all of them, in their order. The second to the fourth are of ever narrower
// regions, in which the ones before had left a tolerance of a third standing. None of them
// kept it, so that the last one is of the whole again, and of a tolerance of a factor of two.
func draws() []draw {
	return []draw{
		{"all", 1000, firstDraw()},
		{"`Window` up to `RecoveryTimeout`; five bad replicas suffice", 5000, secondDraw()},
		{"the same, and `Quorum` up to 0.6", 9000, thirdDraw()},
		{"the same, and glitches up to `RecoveryTimeout`", 13000, fourthDraw()},
		{"all", 17000, lastDraw()},
	}
}

const sec = time.Second

func firstDraw() []setting {
	return []setting{
		{replicas: 12, calls: 6, every: 75 * sec, long: 8 * sec, window: 12 * sec, recovery: 15 * sec, threshold: 10, quorum: 0.4},
		{replicas: 3, calls: 6, every: 240 * sec, long: 15 * sec, window: 12 * sec, recovery: 10 * sec, threshold: 5, quorum: 0.6},
		{replicas: 4, calls: 6, every: 240 * sec, long: 45 * sec, window: 7 * sec, recovery: 45 * sec, threshold: 10, quorum: 0.5},
		{replicas: 4, calls: 6, every: 75 * sec, long: 3 * sec, window: 25 * sec, recovery: 15 * sec, threshold: 5, quorum: 0.6},
		{replicas: 30, calls: 6, every: 150 * sec, long: 15 * sec, window: 7 * sec, recovery: 10 * sec, threshold: 10, quorum: 0.3},
		{replicas: 4, calls: 12, every: 150 * sec, long: 3 * sec, window: 15 * sec, recovery: 15 * sec, threshold: 10, quorum: 0.5},
		{replicas: 8, calls: 12, every: 240 * sec, long: 8 * sec, window: 12 * sec, recovery: 60 * sec, threshold: 10, quorum: 0.4},
		{replicas: 3, calls: 3, every: 75 * sec, long: 3 * sec, window: 7 * sec, recovery: 60 * sec, threshold: 5, quorum: 0.5},
		{replicas: 15, calls: 6, every: 150 * sec, long: 15 * sec, window: 25 * sec, recovery: 45 * sec, threshold: 10, quorum: 0.5},
		{replicas: 4, calls: 12, every: 420 * sec, long: 3 * sec, window: 15 * sec, recovery: 15 * sec, threshold: 10, quorum: 0.5},
		{replicas: 12, calls: 6, every: 150 * sec, long: 15 * sec, window: 12 * sec, recovery: 60 * sec, threshold: 3, quorum: 0.4},
		{replicas: 7, calls: 3, every: 150 * sec, long: 15 * sec, window: 25 * sec, recovery: 15 * sec, threshold: 10, quorum: 0.3},
		{replicas: 4, calls: 12, every: 420 * sec, long: 45 * sec, window: 25 * sec, recovery: 60 * sec, threshold: 10, quorum: 0.5},
		{replicas: 6, calls: 6, every: 240 * sec, long: 45 * sec, window: 12 * sec, recovery: 45 * sec, threshold: 3, quorum: 0.5},
		{replicas: 6, calls: 6, every: 240 * sec, long: 3 * sec, window: 15 * sec, recovery: 15 * sec, threshold: 10, quorum: 0.3},
		{replicas: 8, calls: 12, every: 150 * sec, long: 8 * sec, window: 12 * sec, recovery: 15 * sec, threshold: 10, quorum: 0.3},
		{replicas: 4, calls: 6, every: 240 * sec, long: 8 * sec, window: 15 * sec, recovery: 60 * sec, threshold: 10, quorum: 0.5},
		{replicas: 7, calls: 3, every: 240 * sec, long: 45 * sec, window: 12 * sec, recovery: 15 * sec, threshold: 5, quorum: 0.4},
		{replicas: 12, calls: 12, every: 420 * sec, long: 45 * sec, window: 25 * sec, recovery: 60 * sec, threshold: 10, quorum: 0.3},
		{replicas: 6, calls: 6, every: 150 * sec, long: 3 * sec, window: 15 * sec, recovery: 45 * sec, threshold: 10, quorum: 0.5},
	}
}

func secondDraw() []setting {
	return []setting{
		{replicas: 3, calls: 6, every: 240 * sec, long: 45 * sec, window: 15 * sec, recovery: 60 * sec, threshold: 3, quorum: 0.3},
		{replicas: 6, calls: 3, every: 75 * sec, long: 3 * sec, window: 7 * sec, recovery: 10 * sec, threshold: 5, quorum: 0.5},
		{replicas: 8, calls: 6, every: 240 * sec, long: 15 * sec, window: 7 * sec, recovery: 60 * sec, threshold: 3, quorum: 0.3},
		{replicas: 4, calls: 6, every: 150 * sec, long: 8 * sec, window: 15 * sec, recovery: 45 * sec, threshold: 5, quorum: 0.6},
		{replicas: 8, calls: 6, every: 40 * sec, long: 8 * sec, window: 7 * sec, recovery: 10 * sec, threshold: 5, quorum: 0.6},
		{replicas: 6, calls: 6, every: 240 * sec, long: 3 * sec, window: 25 * sec, recovery: 60 * sec, threshold: 5, quorum: 0.5},
		{replicas: 6, calls: 3, every: 240 * sec, long: 45 * sec, window: 15 * sec, recovery: 15 * sec, threshold: 5, quorum: 0.5},
		{replicas: 6, calls: 3, every: 150 * sec, long: 3 * sec, window: 25 * sec, recovery: 45 * sec, threshold: 3, quorum: 0.6},
		{replicas: 6, calls: 12, every: 240 * sec, long: 45 * sec, window: 7 * sec, recovery: 15 * sec, threshold: 3, quorum: 0.4},
		{replicas: 6, calls: 3, every: 420 * sec, long: 3 * sec, window: 15 * sec, recovery: 15 * sec, threshold: 5, quorum: 0.3},
		{replicas: 8, calls: 12, every: 75 * sec, long: 3 * sec, window: 15 * sec, recovery: 15 * sec, threshold: 10, quorum: 0.5},
		{replicas: 3, calls: 6, every: 240 * sec, long: 90 * sec, window: 12 * sec, recovery: 45 * sec, threshold: 3, quorum: 0.6},
		{replicas: 4, calls: 3, every: 240 * sec, long: 45 * sec, window: 25 * sec, recovery: 60 * sec, threshold: 10, quorum: 0.6},
		{replicas: 7, calls: 12, every: 240 * sec, long: 15 * sec, window: 25 * sec, recovery: 45 * sec, threshold: 3, quorum: 0.4},
		{replicas: 4, calls: 12, every: 240 * sec, long: 8 * sec, window: 25 * sec, recovery: 45 * sec, threshold: 3, quorum: 0.4},
		{replicas: 6, calls: 12, every: 40 * sec, long: 8 * sec, window: 7 * sec, recovery: 15 * sec, threshold: 5, quorum: 0.75},
	}
}

func thirdDraw() []setting {
	return []setting{
		{replicas: 3, calls: 3, every: 150 * sec, long: 8 * sec, window: 15 * sec, recovery: 15 * sec, threshold: 10, quorum: 0.6},
		{replicas: 6, calls: 12, every: 420 * sec, long: 90 * sec, window: 12 * sec, recovery: 60 * sec, threshold: 10, quorum: 0.5},
		{replicas: 4, calls: 12, every: 150 * sec, long: 15 * sec, window: 15 * sec, recovery: 15 * sec, threshold: 10, quorum: 0.5},
		{replicas: 8, calls: 6, every: 75 * sec, long: 3 * sec, window: 15 * sec, recovery: 15 * sec, threshold: 5, quorum: 0.6},
		{replicas: 4, calls: 3, every: 240 * sec, long: 15 * sec, window: 12 * sec, recovery: 60 * sec, threshold: 5, quorum: 0.3},
		{replicas: 6, calls: 3, every: 150 * sec, long: 8 * sec, window: 12 * sec, recovery: 60 * sec, threshold: 3, quorum: 0.6},
		{replicas: 6, calls: 6, every: 420 * sec, long: 45 * sec, window: 15 * sec, recovery: 15 * sec, threshold: 5, quorum: 0.3},
		{replicas: 4, calls: 6, every: 240 * sec, long: 3 * sec, window: 25 * sec, recovery: 60 * sec, threshold: 5, quorum: 0.4},
		{replicas: 3, calls: 12, every: 150 * sec, long: 8 * sec, window: 15 * sec, recovery: 60 * sec, threshold: 3, quorum: 0.6},
		{replicas: 4, calls: 12, every: 240 * sec, long: 15 * sec, window: 7 * sec, recovery: 10 * sec, threshold: 10, quorum: 0.4},
		{replicas: 4, calls: 12, every: 75 * sec, long: 15 * sec, window: 7 * sec, recovery: 45 * sec, threshold: 10, quorum: 0.6},
		{replicas: 6, calls: 6, every: 40 * sec, long: 3 * sec, window: 7 * sec, recovery: 15 * sec, threshold: 10, quorum: 0.6},
		{replicas: 3, calls: 12, every: 40 * sec, long: 8 * sec, window: 7 * sec, recovery: 10 * sec, threshold: 3, quorum: 0.6},
		{replicas: 6, calls: 12, every: 240 * sec, long: 45 * sec, window: 15 * sec, recovery: 15 * sec, threshold: 3, quorum: 0.5},
		{replicas: 8, calls: 12, every: 150 * sec, long: 15 * sec, window: 7 * sec, recovery: 45 * sec, threshold: 5, quorum: 0.4},
		{replicas: 8, calls: 6, every: 75 * sec, long: 8 * sec, window: 15 * sec, recovery: 15 * sec, threshold: 5, quorum: 0.6},
	}
}

func fourthDraw() []setting {
	return []setting{
		{replicas: 8, calls: 3, every: 150 * sec, long: 8 * sec, window: 7 * sec, recovery: 15 * sec, threshold: 5, quorum: 0.3},
		{replicas: 4, calls: 12, every: 420 * sec, long: 3 * sec, window: 15 * sec, recovery: 15 * sec, threshold: 10, quorum: 0.4},
		{replicas: 7, calls: 3, every: 150 * sec, long: 8 * sec, window: 7 * sec, recovery: 10 * sec, threshold: 5, quorum: 0.3},
		{replicas: 7, calls: 3, every: 240 * sec, long: 15 * sec, window: 15 * sec, recovery: 15 * sec, threshold: 3, quorum: 0.3},
		{replicas: 6, calls: 12, every: 240 * sec, long: 15 * sec, window: 25 * sec, recovery: 45 * sec, threshold: 10, quorum: 0.5},
		{replicas: 6, calls: 12, every: 75 * sec, long: 3 * sec, window: 7 * sec, recovery: 15 * sec, threshold: 5, quorum: 0.4},
		{replicas: 4, calls: 12, every: 150 * sec, long: 15 * sec, window: 12 * sec, recovery: 15 * sec, threshold: 10, quorum: 0.3},
		{replicas: 6, calls: 12, every: 240 * sec, long: 15 * sec, window: 7 * sec, recovery: 45 * sec, threshold: 3, quorum: 0.4},
		{replicas: 6, calls: 3, every: 240 * sec, long: 3 * sec, window: 12 * sec, recovery: 45 * sec, threshold: 3, quorum: 0.3},
		{replicas: 3, calls: 12, every: 150 * sec, long: 8 * sec, window: 25 * sec, recovery: 45 * sec, threshold: 5, quorum: 0.4},
		{replicas: 4, calls: 6, every: 150 * sec, long: 15 * sec, window: 12 * sec, recovery: 15 * sec, threshold: 3, quorum: 0.3},
		{replicas: 4, calls: 3, every: 420 * sec, long: 8 * sec, window: 15 * sec, recovery: 15 * sec, threshold: 3, quorum: 0.3},
	}
}

func lastDraw() []setting {
	return []setting{
		{replicas: 15, calls: 12, every: 420 * sec, long: 45 * sec, window: 15 * sec, recovery: 10 * sec, threshold: 5, quorum: 0.3},
		{replicas: 4, calls: 3, every: 240 * sec, long: 8 * sec, window: 15 * sec, recovery: 45 * sec, threshold: 5, quorum: 0.5},
		{replicas: 7, calls: 3, every: 150 * sec, long: 45 * sec, window: 12 * sec, recovery: 45 * sec, threshold: 5, quorum: 0.5},
		{replicas: 6, calls: 3, every: 150 * sec, long: 45 * sec, window: 12 * sec, recovery: 60 * sec, threshold: 10, quorum: 0.6},
		{replicas: 3, calls: 3, every: 75 * sec, long: 45 * sec, window: 7 * sec, recovery: 15 * sec, threshold: 5, quorum: 0.75},
		{replicas: 7, calls: 6, every: 150 * sec, long: 8 * sec, window: 12 * sec, recovery: 10 * sec, threshold: 3, quorum: 0.4},
		{replicas: 6, calls: 12, every: 75 * sec, long: 8 * sec, window: 25 * sec, recovery: 10 * sec, threshold: 10, quorum: 0.5},
		{replicas: 4, calls: 12, every: 40 * sec, long: 3 * sec, window: 7 * sec, recovery: 15 * sec, threshold: 10, quorum: 0.6},
		{replicas: 4, calls: 3, every: 75 * sec, long: 15 * sec, window: 12 * sec, recovery: 15 * sec, threshold: 10, quorum: 0.75},
		{replicas: 6, calls: 3, every: 150 * sec, long: 8 * sec, window: 25 * sec, recovery: 60 * sec, threshold: 10, quorum: 0.6},
		{replicas: 3, calls: 6, every: 240 * sec, long: 45 * sec, window: 15 * sec, recovery: 45 * sec, threshold: 3, quorum: 0.5},
		{replicas: 4, calls: 6, every: 420 * sec, long: 90 * sec, window: 15 * sec, recovery: 45 * sec, threshold: 10, quorum: 0.3},
		{replicas: 4, calls: 6, every: 150 * sec, long: 15 * sec, window: 12 * sec, recovery: 45 * sec, threshold: 10, quorum: 0.6},
		{replicas: 4, calls: 3, every: 240 * sec, long: 8 * sec, window: 7 * sec, recovery: 15 * sec, threshold: 10, quorum: 0.4},
		{replicas: 12, calls: 6, every: 75 * sec, long: 15 * sec, window: 12 * sec, recovery: 10 * sec, threshold: 10, quorum: 0.6},
		{replicas: 3, calls: 6, every: 150 * sec, long: 15 * sec, window: 7 * sec, recovery: 45 * sec, threshold: 5, quorum: 0.6},
	}
}
