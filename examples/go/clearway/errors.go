package clearway

import (
	"errors"
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/clearway/clearway/protos/go/clearway/v1"
)

// Version is the version of this client.
const Version = "0.2.0"

var (
	// ErrClosed: the session was closed, or the client stopped reconnecting.
	ErrClosed = errors.New("clearway: the session is closed")
	// ErrSessionExpired: the session's runs are Crashed, and other runs may have their slots.
	ErrSessionExpired = errors.New("clearway: the session has expired")
	// ErrAborted: the service aborted the proposal; AbortError has the reason.
	ErrAborted = errors.New("clearway: aborted")
	// ErrProtocol: this client does not understand the response.
	ErrProtocol = errors.New("clearway: not understood")
	// ErrTooLarge: a result has more bytes than a state may hold.
	ErrTooLarge = errors.New("clearway: the result is too large")
)

// AbortError says why a proposal was aborted. It is an ErrAborted to errors.Is.
type AbortError struct {
	Reason  pb.AbortReason
	Message string
}

func (e *AbortError) Error() string { return fmt.Sprintf("aborted, %v: %s", e.Reason, e.Message) }

// Is reports whether target is ErrAborted.
func (e *AbortError) Is(target error) bool { return target == ErrAborted }

// ProposalError is what was wrong with a proposal.
type ProposalError struct{ *pb.ProposalError }

func (e *ProposalError) Error() string { return fmt.Sprintf("%v: %s", e.GetReason(), e.GetMessage()) }

// RunFailedError says that a run is in a state that this client does not expect.
type RunFailedError struct {
	RunID string
	State *pb.State
}

func (e *RunFailedError) Error() string {
	said := e.State.GetMessage()
	if failure := e.State.GetData().GetError(); failure != nil {
		said = fmt.Sprintf("%s: %s", failure.Type, failure.Message)
	}
	return fmt.Sprintf("run %s is %s: %s", e.RunID, e.State.GetName(), said)
}

// fromStatus makes an expired session an ErrSessionExpired to errors.Is.
func fromStatus(err error) error {
	if reasonOf(err) == pb.ErrorReason_ERROR_REASON_SESSION_EXPIRED {
		return fmt.Errorf("%w: %s", ErrSessionExpired, status.Convert(err).Message())
	}
	return err
}

// reasonOf returns the reason in a call's details: unspecified if it has none, or one that this client does not know.
func reasonOf(err error) pb.ErrorReason {
	for _, detail := range status.Convert(err).Details() {
		if info, is := detail.(*errdetails.ErrorInfo); is && info.Domain == "clearway" {
			return pb.ErrorReason(pb.ErrorReason_value[info.Reason])
		}
	}
	return pb.ErrorReason_ERROR_REASON_UNSPECIFIED
}

// permanent reports whether reconnecting cannot help.
func permanent(err error) bool {
	switch status.Code(err) {
	case codes.InvalidArgument, codes.Unauthenticated, codes.PermissionDenied, codes.Unimplemented, codes.FailedPrecondition:
		return true
	}
	return errors.Is(err, ErrProtocol)
}
