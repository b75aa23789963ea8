package fleet

import (
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// An account is what the calls of one replica earned and its retries have not spent,
// in parts of a domain.RatioUnit. It never holds more than was earned lately, or one
// retry: who calls seldom gets there, too. The zero account is empty. It is not safe
// for concurrent use.
type account struct {
	balance int64
	lately  [lapseAfter]int64 // earned in each of the last seconds
	sum     int64             // of lately
	second  int64             // the one that is now
}

// lapseAfter is for how many seconds what was earned can be spent.
const lapseAfter = 10

// earn adds to what there is.
func (a *account) earn(now time.Duration, parts int64) {
	a.advance(now)
	a.lately[a.second%lapseAfter] += parts
	a.sum += parts
	a.balance = min(a.balance+parts, a.most())
}

// spend takes one retry, if it is there.
func (a *account) spend(now time.Duration) bool {
	a.advance(now)
	a.balance = min(a.balance, a.most())
	if a.balance < domain.RatioUnit {
		return false
	}
	a.balance -= domain.RatioUnit
	return true
}

func (a *account) most() int64 { return max(a.sum, domain.RatioUnit) }

// advance forgets what was earned too long ago.
func (a *account) advance(now time.Duration) {
	second := int64(now / time.Second)
	if second-a.second >= lapseAfter {
		a.lately, a.sum = [lapseAfter]int64{}, 0
		a.second = second
	}
	for a.second < second {
		a.second++
		a.sum -= a.lately[a.second%lapseAfter]
		a.lately[a.second%lapseAfter] = 0
	}
}
