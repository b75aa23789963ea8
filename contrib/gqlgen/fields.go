package holdfastgqlgen

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/holdfast-go/holdfast/orchestrator"
)

// A FieldsConfig is what [Fields] needs beside its guards. The zero FieldsConfig is valid.
type FieldsConfig struct {
	// Cost is how many tokens a field takes from each limit of its guard: its arguments are
	// in field.Args. Defaults to 1.
	Cost func(ctx context.Context, field *graphql.FieldContext) int64
	// Key says for whom a field is resolved, as in Config.
	Key func(ctx context.Context, field *graphql.FieldContext) string
}

// Fields runs the resolvers of single fields under guards of their own, each by the name of
// its type and its own, such as "Query.search" or "Product.stock".
//
//	srv.Use(holdfastgqlgen.Fields(map[string]*orchestrator.Guard{"Query.search": guard}, holdfastgqlgen.FieldsConfig{}))
//
// A field that is refused is null, with an error at its path. What its resolver returns
// comes through as it is. The fields of a mutation run once at most, whatever the policy
// says; other fields may run again, since GraphQL wants them free of effects. A timeout
// bounds a field without what is selected in it. Hedges do nothing.
//
// gqlgen panics when it is given a name that the schema does not have, that of an interface,
// or of a field of a subscription, which goes on when its resolver has returned: guard the
// operation.
func Fields(guards map[string]*orchestrator.Guard, c FieldsConfig) graphql.HandlerExtension {
	return &fields{named: guards, config: c}
}

type fields struct {
	named    map[string]*orchestrator.Guard
	config   FieldsConfig
	guards   map[string]map[string]*orchestrator.Guard // by type and field
	mutation string                                    // the type whose fields have effects
}

var _ graphql.FieldInterceptor = (*fields)(nil)

// ExtensionName is what gqlgen calls it.
func (*fields) ExtensionName() string { return "HoldfastFields" }

// Validate is called by gqlgen when a server begins to use the extension.
func (f *fields) Validate(executable graphql.ExecutableSchema) error {
	schema := executable.Schema()
	f.guards = make(map[string]map[string]*orchestrator.Guard)
	for name, guard := range f.named {
		object, field, err := find(schema, name)
		if err == nil && guard == nil {
			err = errors.New("it was given no guard")
		}
		if err != nil {
			return fmt.Errorf("holdfastgqlgen: Fields: %q: %w", name, err)
		}
		if f.guards[object] == nil {
			f.guards[object] = make(map[string]*orchestrator.Guard)
		}
		f.guards[object][field] = guard
	}
	if schema.Mutation != nil {
		f.mutation = schema.Mutation.Name
	}
	return nil
}

// find takes the name of a field apart, and checks that it can be guarded.
func find(schema *ast.Schema, name string) (object, field string, err error) {
	object, field, _ = strings.Cut(name, ".")
	definition := schema.Types[object]
	switch {
	case definition == nil || definition.Fields.ForName(field) == nil:
		return "", "", errors.New("the schema has no such field")
	case definition.Kind != ast.Object:
		return "", "", errors.New("it is of an interface: name the types that implement it")
	case schema.Subscription != nil && schema.Subscription.Name == object:
		return "", "", errors.New("a subscription goes on when its resolver has returned: guard the operation")
	}
	return object, field, nil
}

// InterceptField is called by gqlgen for each field.
func (f *fields) InterceptField(ctx context.Context, next graphql.Resolver) (any, error) {
	field := graphql.GetFieldContext(ctx)
	guard := f.guards[field.Object][field.Field.Name]
	if guard == nil {
		return next(ctx)
	}
	return f.resolve(ctx, guard, field, next)
}

func (f *fields) resolve(ctx context.Context, guard *orchestrator.Guard, field *graphql.FieldContext, next graphql.Resolver) (any, error) {
	value, err := orchestrator.Do(ctx, guard, func(inner context.Context) (any, error) {
		lasting := newLasting(ctx, inner)
		defer lasting.outlive()
		value, err := next(lasting) //nolint:contextcheck // it is made of both
		if err != nil {
			return value, &resolved{err}
		}
		return value, nil
	}, f.calls(ctx, field)...)
	if err == nil {
		return value, nil
	}
	if own, ok := err.(*resolved); ok { //nolint:errorlint // as it came, and not what wraps it
		return value, own.error
	}
	return nil, explain(err)
}

func (f *fields) calls(ctx context.Context, field *graphql.FieldContext) []orchestrator.Call {
	var calls []orchestrator.Call
	if f.mutation != "" && field.Object == f.mutation {
		calls = append(calls, orchestrator.RepeatIf(orchestrator.Never))
	}
	if f.config.Cost != nil {
		calls = append(calls, orchestrator.Cost(f.config.Cost(ctx, field)))
	}
	if f.config.Key != nil {
		calls = append(calls, orchestrator.Key(f.config.Key(ctx, field)))
	}
	return calls
}

// A resolved error came from a resolver. It is taken off again before anybody else sees
// the error, and tells it from what the guard says.
type resolved struct{ error }

func (r *resolved) Unwrap() error { return r.error }

// explain gives an error of the guard the form in which clients get it. Of several tries of
// a resolver that is the last one's error.
func explain(err error) error {
	if told, ok := ErrorOf(err); ok {
		return told
	}
	if last, ok := errors.AsType[*resolved](err); ok {
		return last.error
	}
	return err
}
