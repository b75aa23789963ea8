// Package policy reads policies as text, such as
//
//	timeout(5s) > retry(max_attempts=3) > circuit_breaker(name=payments, failure_ratio=0.5)
//
// Layers are joined by ">", outermost first, which is the order in which they run. The
// String method of a policy writes this form, and [Parse] reads it back to an equal
// policy.
//
// # Syntax
//
//	policy = layer { ">" layer } .
//	layer  = kind [ "(" [ value { "," value } ] ")" ] .
//	value  = word | name "=" word | name "=" kind "(" … ")" .
//
// A word is anything without white space and without one of "(),=>". The kinds are none,
// retry, circuit_breaker, rate_limit, timeout, bulkhead, hedge and exclusive; their fields
// have the names of the domain's, in lower case with "_". Durations are Go's (100ms, 1m30s),
// rates are tokens per period (100/s, 5000/h, 10/24h).
//
// Some values stand without a name: timeout(2s), rate_limit(100/s), bulkhead(10),
// hedge(200ms). In a rate_limit a further band is also=1000/h, and burst=20 belongs to the
// rate before it.
//
// # Files
//
// [ReadJSON] reads a file of many policies with names, which may extend each other, and says
// which operation has which. [Read] reads such a document of another format, once somebody
// has made [Node] values of it; contrib/policyfile does so with YAML, and watches files. All of
// them have the same words for the same mistake, with its line and column. docs/policies.md
// has examples, and docs/policyfile.schema.json is for editors.
//
// What a file may cost to read is bounded, so it may come from anybody; what it can say
// about calls is not, so it should come from who may say it.
package policy
