// Package histories lets eight processes call a real Redis while processes,
// servers and replies are lost, writes down what each call asked and was
// answered, and has porcupine judge whether the rules in domain explain it:
// `make histories`.
//
// # What is checked
//
// Each reply of a script carries the server's time at which it was decided, and
// a breaker's carries the epoch. So the model is exact: it is bucket.State and
// breaker.Fleet, each decided at the very microsecond that the server says, and
// every number of every reply has to be what they answer, in an order that keeps
// both the server's time and real time.
//
// A call whose reply was lost may have been executed or not; the model goes on
// with both until another reply decides. If it was executed, it was at the time
// that the server wrote into the reply which was thrown away: the proxy on the
// way of each process notes these times, and nothing else of a lost reply is
// believed. A call of which the server said nothing was not executed. None is
// executed after its caller has given up: its place in the history ends there.
//
// A failover goes back to a state that there was while the replica was seen to
// follow, and to no other. A server that starts afresh knows nothing.
package histories
