// Package scrape holds only tests: contrib/otel, through OpenTelemetry's SDK and its
// exporter, and contrib/prometheus, through Prometheus's client, measure the same eventful
// day of one replica. Both are scraped over HTTP and must say the same, under the names
// that docs/telemetry.md has; and the queries of docs/dashboard.json and docs/alerts.yml
// are run by Prometheus's own engine on what was scraped.
//
// It is a module of its own because of what that engine requires.
package scrape
