module github.com/clearway/clearway/examples/go

go 1.26.0

// The generated messages of this checkout.
replace github.com/clearway/clearway/protos/go => ../../protos/go

require (
	github.com/clearway/clearway/protos/go v0.0.0
	github.com/google/uuid v1.6.0
	github.com/gowebpki/jcs v1.0.2
	google.golang.org/genproto/googleapis/rpc v0.0.0-20261110000943-09e21b237f2c
	google.golang.org/grpc v1.85.0
	google.golang.org/protobuf v1.36.12
)

require (
	golang.org/x/net v0.60.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
	golang.org/x/text v0.42.0 // indirect
)
