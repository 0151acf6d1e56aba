package main

import (
	"strings"
	"unicode"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
)

// facts returns how a call failed, as scenarios write it.
func facts(err error) map[string]any {
	failure := status.Convert(err)
	said := map[string]any{"code": screaming(failure.Code().String()), "message": failure.Message(), "fields": []any{}}
	for _, detail := range failure.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			said["reason"] = detail.Reason
			metadata := make(map[string]any, len(detail.Metadata))
			for key, value := range detail.Metadata {
				metadata[key] = value
			}
			said["metadata"] = metadata
		case *errdetails.BadRequest:
			for _, violation := range detail.FieldViolations {
				said["fields"] = append(said["fields"].([]any), any(violation.Field))
			}
		case *errdetails.RetryInfo:
			said["retrySeconds"] = detail.RetryDelay.AsDuration().Seconds()
		}
	}
	return said
}

// screaming returns InvalidArgument as INVALID_ARGUMENT; Go spells CANCELLED with one L.
func screaming(code string) string {
	if code == "Canceled" {
		return "CANCELLED"
	}
	var text strings.Builder
	for place, letter := range code {
		if place > 0 && unicode.IsUpper(letter) && code != "OK" {
			text.WriteByte('_')
		}
		text.WriteRune(unicode.ToUpper(letter))
	}
	return text.String()
}
