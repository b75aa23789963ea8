package policy

// nearest is the name that somebody who wrote text may have meant; "" when none is near.
func nearest(text string, names []string) string {
	best, found := 1+min(len(text), 40)/3, ""
	for _, name := range names {
		if d := distance(text, name, best); d < best {
			best, found = d, name
		}
	}
	return found
}

// distance is how many letters have to be put in, left out, changed or swapped with their
// neighbour to make b of a (the optimal string alignment distance), or limit if that is
// less.
func distance(a, b string, limit int) int {
	if len(a) > len(b)+limit || len(b) > len(a)+limit {
		return limit
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := last[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(last[j]+1, row[j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return min(last[len(b)], limit)
}
