module github.com/holdfast-go/holdfast/contrib/policyfile

go 1.26.0

replace github.com/holdfast-go/holdfast => ../../

require (
	github.com/fsnotify/fsnotify v1.10.1
	github.com/holdfast-go/holdfast v0.0.0-00010101000000-000000000000
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3
	go.yaml.in/yaml/v4 v4.0.0
)

require (
	golang.org/x/sys v0.48.0 // indirect
	golang.org/x/text v0.44.0 // indirect
)
