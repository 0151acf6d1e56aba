package clearway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	pb "github.com/clearway/clearway/protos/go/clearway/v1"
)

// Bounds of the protocol.
const (
	maxInline  = 65_536
	maxError   = 65_536
	maxMessage = 1_000 // below the bound of one message, because all of them together are bounded too
	maxTrace   = 16_384
	maxDepth   = 8
	maxMembers = 16
)

// PanicError is a panic of a task's code.
type PanicError struct {
	Value any
	Stack string
}

func (e *PanicError) Error() string { return fmt.Sprint(e.Value) }

// guarded runs code and returns its panic as an error, so that one task does not end all others.
func guarded(ctx context.Context, code func(context.Context) (any, error)) (result any, err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &PanicError{value, string(debug.Stack())}
		}
	}()
	return code(ctx)
}

// Portable returns an error in a form that all languages can show, with the errors that it wraps as its causes.
func Portable(err error) *pb.RunError {
	said := portable(err, maxDepth)
	if proto.Size(said) > maxError {
		said.Cause, said.Members, said.StackTrace = nil, nil, ""
	}
	return said
}

func portable(err error, depth int) *pb.RunError {
	said := &pb.RunError{
		Type:    short(strings.TrimPrefix(fmt.Sprintf("%T", err), "*"), 255),
		Message: short(err.Error(), maxMessage),
	}
	if panicked, is := err.(*PanicError); is {
		said.StackTrace = short(panicked.Stack, maxTrace)
	}
	if depth == 1 {
		return said
	}
	if cause := errors.Unwrap(err); cause != nil {
		said.Cause = portable(cause, depth-1)
	} else if group, is := err.(interface{ Unwrap() []error }); is {
		// Members of members are left out, because the whole is bounded.
		for _, member := range group.Unwrap()[:min(len(group.Unwrap()), maxMembers)] {
			said.Members = append(said.Members, portable(member, 1))
		}
	}
	return said
}

// short returns the first characters of a text, as valid UTF-8.
func short(text string, characters int) string {
	text = strings.ToValidUTF8(text, "�")
	if utf8.RuneCountInString(text) <= characters {
		return text
	}
	return string([]rune(text)[:characters])
}

// encode returns a result as JSON, which all languages can read.
func encode(result any) (*pb.Data, error) {
	text, err := json.Marshal(result)
	if err != nil {
		return nil, err
	}
	if len(text) > maxInline {
		return nil, fmt.Errorf("%w: %d bytes; a state holds %d, keep it elsewhere and return where", ErrTooLarge, len(text), maxInline)
	}
	digest := sha256.Sum256(text)
	return &pb.Data{
		Encoding: "json", Body: &pb.Data_Inline{Inline: text}, SizeBytes: int64(len(text)), Sha256: hex.EncodeToString(digest[:]),
	}, nil
}

// decode returns the result of another run, which may be of a client in another language.
func decode(data *pb.Data) (json.RawMessage, error) {
	if data == nil {
		return json.RawMessage("null"), nil
	}
	if data.Encoding != "json" || data.Compression != "" {
		return nil, fmt.Errorf("%w: a result as %q, compressed by %q; this client reads plain json", ErrProtocol, data.Encoding, data.Compression)
	}
	inline, is := data.Body.(*pb.Data_Inline)
	if !is {
		return nil, fmt.Errorf("%w: a result that is kept at %q; this client reads what a state holds", ErrProtocol, data.GetLocation())
	}
	return inline.Inline, nil
}
