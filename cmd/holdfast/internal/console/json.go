package console

import (
	"encoding/json"
	"io"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/operate"
)

func writeJSON(out io.Writer, v any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

func writeJSONLine(out io.Writer, v any) error { return json.NewEncoder(out).Encode(v) }

// The shapes of JSON are part of the command's surface: fields are added, and
// neither renamed nor removed. Durations are in ms.

type overrideJSON struct {
	Force  string `json:"force"`
	ForMS  int64  `json:"for_ms"`
	By     string `json:"by"`
	Reason string `json:"reason"`
}

type statusJSON struct {
	Name     string        `json:"name"`
	Key      string        `json:"key,omitempty"`
	State    string        `json:"state"`
	ForMS    int64         `json:"for_ms"`
	Epoch    uint64        `json:"epoch"`
	Override *overrideJSON `json:"override,omitempty"`
	Error    string        `json:"error,omitempty"`
}

func jsonStatuses(all []operate.Status) []statusJSON {
	list := make([]statusJSON, len(all))
	for i, s := range all {
		list[i] = jsonStatus(s.Breaker, s.View.State, s.View.For, s.View.Epoch, s.View.Order)
		if s.View.Err != nil {
			list[i].State, list[i].Error = "unknown", s.View.Err.Error()
		}
	}
	return list
}

func jsonStatus(id port.ID, state domain.State, lasts time.Duration, epoch uint64, o breaker.Order) statusJSON {
	return statusJSON{
		Name: id.Name, Key: id.Key, State: state.String(), ForMS: lasts.Milliseconds(), Epoch: epoch, Override: jsonOverride(o),
	}
}

func jsonOverride(o breaker.Order) *overrideJSON {
	if o.Force == domain.ForceNone || o.ForMicro == 0 {
		return nil
	}
	return &overrideJSON{o.Force.String(), o.ForMicro / 1000, o.By, o.Reason}
}

type snapshotJSON struct {
	statusJSON

	Why       string       `json:"why"`
	AgeMS     int64        `json:"age_ms"`
	Reopened  int64        `json:"reopened"`
	Disputed  bool         `json:"disputed"`
	Rules     rulesJSON    `json:"rules"`
	Bad       int64        `json:"bad"`
	BadWeight float64      `json:"bad_weight"`
	AllWeight float64      `json:"all_weight"`
	Votes     []voteJSON   `json:"votes"`
	Probers   []proberJSON `json:"probers"`
	Leases    []leaseJSON  `json:"leases"`
}

type rulesJSON struct {
	Version          int64   `json:"version"`
	MinReplicas      int64   `json:"min_replicas"`
	Quorum           float64 `json:"quorum"`
	WindowMS         int64   `json:"window_ms"`
	RecoveryMS       int64   `json:"recovery_timeout_ms"`
	MaxRecoveryMS    int64   `json:"max_recovery_timeout_ms"`
	Probes           int64   `json:"probes"`
	ProbeLeaseMS     int64   `json:"probe_lease_ms"`
	SuccessThreshold int64   `json:"success_threshold"`
	MaxHalfOpenMS    int64   `json:"max_half_open_ms"`
}

type voteJSON struct {
	Replica  string  `json:"replica"`
	Bad      bool    `json:"bad"`
	Weight   float64 `json:"weight"`
	Calls    int64   `json:"calls"`
	Failures int64   `json:"failures"`
	AgeMS    int64   `json:"age_ms"`
	ForMS    int64   `json:"for_ms"`
	Open     bool    `json:"open"` // its own layer
	Last     string  `json:"last_trouble"`
}

type proberJSON struct {
	Replica   string `json:"replica"`
	Succeeded bool   `json:"succeeded"`
	Failed    bool   `json:"failed"`
}

type leaseJSON struct {
	Replica string `json:"replica"`
	ForMS   int64  `json:"for_ms"`
}

func jsonSnapshot(id port.ID, s breaker.Snapshot) snapshotJSON {
	r := s.Rules
	j := snapshotJSON{
		statusJSON: jsonStatus(id, s.View.State, micros(s.View.ForMicro), s.View.Epoch, s.View.Order),
		Why:        operate.Why(s), AgeMS: s.AgeMicro / 1000, Reopened: s.Growth, Disputed: s.Disputed,
		Rules: rulesJSON{
			r.Version, r.MinReplicas, share(r.QuorumMille), r.WindowMicro / 1000, r.RecoveryMicro / 1000, r.MaxRecoveryMicro / 1000,
			r.Probes, r.LeaseMicro / 1000, r.Successes, r.HalfOpenMicro / 1000,
		},
		Bad: s.Bad, BadWeight: share(s.BadWeight), AllWeight: share(s.AllWeight),
		Votes: []voteJSON{}, Probers: []proberJSON{}, Leases: []leaseJSON{},
	}
	for _, v := range s.Votes {
		j.Votes = append(j.Votes, voteJSON{
			v.Replica, v.Bad, share(v.Weight), v.Calls, v.Failures, v.AgeMicro / 1000, v.ForMicro / 1000, v.Open, v.Last.String(),
		})
	}
	for _, p := range s.Probers {
		j.Probers = append(j.Probers, proberJSON{p.Replica, p.Succeeded, p.Failed})
	}
	for _, l := range s.Leases {
		j.Leases = append(j.Leases, leaseJSON{l.Replica, l.ForMicro / 1000})
	}
	return j
}

func share(mille int64) float64 { return float64(mille) / 1000 }

type eventJSON struct {
	Time     string        `json:"time"`
	Name     string        `json:"name"`
	Key      string        `json:"key,omitempty"`
	Kind     string        `json:"kind"`
	State    string        `json:"state"`
	Epoch    uint64        `json:"epoch"`
	Lost     bool          `json:"lost,omitempty"`
	Replica  string        `json:"replica,omitempty"`
	Bad      bool          `json:"bad,omitempty"`
	Weight   float64       `json:"weight,omitempty"`
	Reset    bool          `json:"reset,omitempty"`
	Override *overrideJSON `json:"override,omitempty"`
}

func jsonEvent(e operate.Event) eventJSON {
	j := eventJSON{
		Time: time.UnixMicro(e.AtMicro).UTC().Format(time.RFC3339Nano), Name: e.Breaker.Name, Key: e.Breaker.Key, Kind: e.Kind.String(),
		State: e.State.String(), Epoch: e.Epoch, Lost: e.Lost, Replica: e.Replica, Bad: e.Bad, Weight: share(e.Weight),
		Reset: e.Order.Reset,
	}
	if e.Kind == breaker.RecordOrder {
		o := e.Order
		j.Override = &overrideJSON{o.Force.String(), o.ForMicro / 1000, o.By, o.Reason}
	}
	return j
}
