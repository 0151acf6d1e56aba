package clearway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/clearway/clearway/protos/go/clearway/v1"
)

// FlowRun is a run of a flow. It belongs to a session.
type FlowRun struct {
	ID      string
	session *Session
}

// Task is a task's code, and what the service needs to know about its run.
type Task struct {
	// Key identifies the task: all its runs have the same.
	Key string
	// Tags group runs; concurrency limits are set on them.
	Tags []string
	// Retries is how often a failed run is tried again, each time after RetryDelay.
	Retries    int32
	RetryDelay time.Duration
	// CacheKey is the key that other runs find the result by; empty disables the cache. See Key.
	CacheKey string
	// CacheExpiration is how long a result is served; 0 means for ever.
	CacheExpiration time.Duration
	// Run is the task's code. Its result must be representable in JSON. ctx ends when the code must stop.
	Run func(ctx context.Context) (any, error)
}

// RunFlow creates a flow run, runs flow in it, and reports how it ended. It returns the flow run's id. parameters are
// for people who look at the run; nil means none.
func (s *Session) RunFlow(
	ctx context.Context, name string, parameters map[string]any, flow func(context.Context, *FlowRun) (any, error),
) (string, error) {
	run := &FlowRun{ID: newID(), session: s}
	spec := &pb.FlowRunSpec{Id: run.ID, FlowName: name}
	if parameters != nil {
		arguments, err := json.Marshal(parameters)
		if err != nil {
			return "", err
		}
		spec.ParametersJson = string(arguments)
	}
	if err := s.create(ctx, spec); err != nil {
		return "", err
	}
	propose := func(state *pb.ProposedState) *pb.Proposal {
		return &pb.Proposal{Run: &pb.Proposal_FlowRunId{FlowRunId: run.ID}, State: state}
	}
	_, err := s.attempts(ctx, propose, caching{}, func(ctx context.Context) (any, error) { return flow(ctx, run) })
	return run.ID, err
}

// create creates a flow run. It is repeated when the connection breaks; the id makes that safe.
func (s *Session) create(ctx context.Context, spec *pb.FlowRunSpec) error {
	ctx, cancel := context.WithTimeout(ctx, s.options.ReconnectTimeout)
	defer cancel()
	_, err := s.Orchestrator.CreateFlowRun(ctx, &pb.CreateFlowRunRequest{FlowRun: spec}, grpc.WaitForReady(true))
	return err
}

// Do runs a task in the flow run and returns its result as JSON, from the code or from the cache. dynamicKey
// distinguishes the runs of one task; the same key means the same run, and a run that has ended is not run again.
func (f *FlowRun) Do(ctx context.Context, dynamicKey string, task Task) (json.RawMessage, error) {
	spec := &pb.TaskRunSpec{
		Id: newID(), FlowRunId: f.ID, TaskKey: task.Key, DynamicKey: dynamicKey, Tags: task.Tags,
		RetryPolicy: &pb.RetryPolicy{MaxAttempts: task.Retries + 1},
	}
	if task.RetryDelay > 0 {
		spec.RetryPolicy.Delays = []*durationpb.Duration{durationpb.New(task.RetryDelay)}
	}
	cache := caching{key: task.CacheKey}
	if task.CacheKey != "" && task.CacheExpiration > 0 {
		cache.expiration = durationpb.New(task.CacheExpiration)
	}
	propose := func(state *pb.ProposedState) *pb.Proposal { return &pb.Proposal{CreateTaskRun: spec, State: state} }
	return f.session.attempts(ctx, propose, cache, task.Run)
}

// caching is what the service needs to find a result by its key: when the run starts, and when it completes.
type caching struct {
	key        string
	expiration *durationpb.Duration
}

// state returns a state to propose, with the cache key.
func (c caching) state(kind pb.StateType) *pb.ProposedState {
	return &pb.ProposedState{Type: kind, CacheKey: c.key, CacheExpiration: c.expiration}
}

// attempts runs code once, and again for each retry that the service schedules.
func (s *Session) attempts(
	ctx context.Context, propose func(*pb.ProposedState) *pb.Proposal, cache caching, code func(context.Context) (any, error),
) (json.RawMessage, error) {
	running := cache.state(pb.StateType_STATE_TYPE_RUNNING)
	for {
		answer, err := s.Propose(ctx, propose(running))
		if err != nil {
			return nil, err
		}
		if answer.GetAccept() == nil {
			result, again, err := obey(ctx, answer)
			if err != nil || !again {
				return result, err
			}
			continue
		}
		ending, failure := s.attempt(ctx, answer, cache, code)
		if errors.Is(failure, ErrSessionExpired) || errors.Is(failure, ErrClosed) {
			return nil, failure
		}
		// Proposed even if ctx has ended: the service must know that the code has stopped.
		answer, err = s.Propose(context.WithoutCancel(ctx), propose(ending))
		if err != nil {
			return nil, err
		}
		if answer.GetAccept() != nil {
			return ending.GetData().GetInline(), failure
		}
		if result, again, err := obey(ctx, answer); err != nil || !again {
			return result, errors.Join(err, failure)
		}
	}
}

// attempt runs code once and returns the state to propose.
func (s *Session) attempt(
	ctx context.Context, answer Answer, cache caching, code func(context.Context) (any, error),
) (*pb.ProposedState, error) {
	running, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// If the session is lost, the run is Crashed, and other runs may have its slots.
	defer context.AfterFunc(answer.Held, func() { cancel(context.Cause(answer.Held)) })()
	kind := pb.RunErrorKind_RUN_ERROR_KIND_APPLICATION
	result, err := guarded(running, code)
	if err == nil {
		var data *pb.Data
		if data, err = encode(result); err == nil {
			completed := cache.state(pb.StateType_STATE_TYPE_COMPLETED)
			completed.Data = data
			return completed, nil
		}
		kind = pb.RunErrorKind_RUN_ERROR_KIND_RESULT
	}
	if lost := context.Cause(answer.Held); lost != nil {
		return nil, lost
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return &pb.ProposedState{Type: pb.StateType_STATE_TYPE_CRASHED, Message: "interrupted: " + context.Cause(ctx).Error()}, err
	}
	failure := Portable(err)
	failure.Kind = kind
	return &pb.ProposedState{
		Type: pb.StateType_STATE_TYPE_FAILED, Message: short(err.Error(), 4096), Data: &pb.Data{Error: failure},
	}, err
}

// obey acts on a decision other than accept. If again is true, Running is to be proposed now.
func obey(ctx context.Context, answer Answer) (result json.RawMessage, again bool, err error) {
	switch said := answer.Answer.(type) {
	case *pb.Decision_Accept:
		return nil, false, nil
	case *pb.Decision_Wait:
		return nil, true, pause(ctx, said.Wait.RetryAfter.AsDuration())
	case *pb.Decision_Abort:
		return nil, false, &AbortError{said.Abort.Reason, said.Abort.Message}
	case *pb.Decision_Error:
		return nil, false, &ProposalError{said.Error}
	case *pb.Decision_Reject:
		switch state := answer.State; said.Reject.Reason {
		case pb.RejectReason_REJECT_REASON_CACHED:
			result, err = decode(state.GetData())
			return result, false, err
		case pb.RejectReason_REJECT_REASON_RETRY_SCHEDULED: // both times are the service's, so the clocks need not agree
			delay := state.GetDetails().GetScheduledTime().AsTime().Sub(state.GetCreateTime().AsTime())
			return nil, true, pause(ctx, delay)
		default:
			return nil, false, &RunFailedError{answer.RunId, state}
		}
	}
	return nil, false, fmt.Errorf("%w: a decision of %T", ErrProtocol, answer.Answer)
}

func pause(ctx context.Context, delay time.Duration) error {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
