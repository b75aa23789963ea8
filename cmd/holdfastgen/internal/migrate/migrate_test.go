package migrate_test

import (
	"testing"

	"github.com/holdfast-go/holdfast/cmd/holdfastgen/internal/migrate"
)

const (
	compat       = `"github.com/holdfast-go/holdfast/compat"`
	orchestrator = `"github.com/holdfast-go/holdfast/orchestrator"`
)

func TestFile(t *testing.T) {
	const head = "package shop\n\n"
	block := func(imports, body string) string { return head + "import (\n" + imports + ")\n\n" + body }
	both := "\t" + compat + "\n\t" + orchestrator + "\n"
	for _, tt := range []struct{ story, before, after string }{
		{
			"the arguments of the policy move together",
			block(both, "var a = compat.RateLimited(ctx, c, \"payments\", 100, 10, fn)\n"),
			block(both, "var a = orchestrator.ExecuteWithPolicy(ctx, c, compat.LimitPolicy(\"payments\", 100, 10), fn)\n"),
		},
		{
			"calls inside calls, with their comments",
			block(both, "var a = compat.Retry(ctx, c, f(1, 2), func() { // one\n\treturn compat.CircuitBreaker(ctx, c, \"x\" /* two */, fn) // three\n})\n"),
			block(both, "var a = orchestrator.ExecuteWithPolicy(ctx, c, compat.RetryPolicy(f(1, 2)), func() { // one\n\treturn orchestrator.ExecuteWithPolicy(ctx, c, compat.BreakerPolicy(\"x\") /* two */, fn) // three\n})\n"),
		},
		{
			"a type argument is inferred",
			block(both, "var a = compat.Retry[map[string]int](ctx, c, 3, fn)\n"),
			block(both, "var a = orchestrator.ExecuteWithPolicy(ctx, c, compat.RetryPolicy(3), fn)\n"),
		},
		{
			"packages have other names",
			block("\told "+compat+"\n\torch "+orchestrator+"\n", "var a = old.Retry(ctx, c, 3, fn)\n"),
			block("\told "+compat+"\n\torch "+orchestrator+"\n", "var a = orch.ExecuteWithPolicy(ctx, c, old.RetryPolicy(3), fn)\n"),
		},
		{
			"the orchestrator is not imported yet",
			block("\t\"context\"\n\n\t"+compat+"\n", "var a = compat.Retry(ctx, c, 3, fn)\n"),
			block("\t\"context\"\n\n"+both, "var a = orchestrator.ExecuteWithPolicy(ctx, c, compat.RetryPolicy(3), fn)\n"),
		},
		{
			"nor are there parentheses",
			head + "import " + compat + "\n\nvar a = compat.Retry(ctx, c, 3, fn)\n",
			head + "import " + orchestrator + "\nimport " + compat + "\n\nvar a = orchestrator.ExecuteWithPolicy(ctx, c, compat.RetryPolicy(3), fn)\n",
		},
		{"New is left to go fix", block(both, "var   a = compat.New(o)\n"), ""},
		{"a function of another package", block("\t\"example.org/compat\"\n", "var   a = compat.Retry(ctx, c, 3, fn)\n"), ""},
		{"a call that does not compile", block(both, "var   a = compat.Retry(ctx, c)\n"), ""},
		{"a function that is not called", block(both, "var   a = compat.Retry[int]\n"), ""},
	} {
		t.Run(tt.story, func(t *testing.T) {
			if tt.after == "" {
				tt.after = tt.before
			}
			got, err := migrate.File("shop.go", []byte(tt.before))
			if err != nil || string(got) != tt.after {
				t.Errorf("%v\n%s\nwant\n%s", err, got, tt.after)
			}
			if again, err := migrate.File("shop.go", got); err != nil || string(again) != string(got) {
				t.Errorf("a second time: %v\n%s", err, again)
			}
		})
	}
	if _, err := migrate.File("shop.go", []byte("package")); err == nil {
		t.Error("what does not parse is taken")
	}
}
