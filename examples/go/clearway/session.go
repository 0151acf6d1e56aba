// Package clearway is a small client of a Clearway service: a session on one stream, flow runs, and task runs whose
// code runs only when the service has accepted it.
package clearway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	pb "github.com/clearway/clearway/protos/go/clearway/v1"
)

// The flow run's id makes it safe to repeat the call.
const serviceConfig = `{"methodConfig": [{
  "name": [{"service": "clearway.v1.Orchestrator", "method": "CreateFlowRun"}],
  "retryPolicy": {"maxAttempts": 5, "initialBackoff": "0.1s", "maxBackoff": "2s", "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"]}}]}`

// Options configure a session.
type Options struct {
	// Name is for people: a program, a host, a process.
	Name string
	// ReconnectTimeout is how long the client tries to reconnect; 0 means a minute.
	ReconnectTimeout time.Duration
	// Logf logs lost and resumed connections; nil logs nothing.
	Logf func(format string, arguments ...any)
}

// Session is a client's session with the service: one stream, which is opened again when it breaks. It is safe for
// concurrent use.
type Session struct {
	// Orchestrator makes unary calls on the session's connection.
	Orchestrator pb.OrchestratorClient

	options Options
	conn    *grpc.ClientConn
	wake    chan struct{}
	done    chan struct{}

	mu        sync.Mutex
	id        string
	lease     time.Duration
	outbox    []*pb.Proposal
	withdrawn []string
	table     map[string]*entry // proposals without a final decision, by id
	abandoned map[string]bool   // withdrawn proposals, which may be accepted nevertheless
	order     uint64
	held      context.Context // ends with the session; a new session has a new one
	lose      context.CancelCauseFunc
	closing   bool
	broke     error // why the last stream ended or could not be opened
	err       error
}

type entry struct {
	proposal *pb.Proposal
	order    uint64
	answer   chan Answer
}

// Answer is a final decision, or a wait after which the caller proposes again.
type Answer struct {
	*pb.Decision
	// Held ends with the session in which the run was accepted; the run is then Crashed.
	Held context.Context
}

// Dial opens a session with the service at address ("host:port"). It returns after the welcome.
func Dial(ctx context.Context, address string, options Options) (*Session, error) {
	if options.ReconnectTimeout == 0 {
		options.ReconnectTimeout = time.Minute
	}
	if options.Logf == nil {
		options.Logf = func(string, ...any) {}
	}
	conn, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}),
		// The default, up to two minutes, is longer than a session lives.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}))
	if err != nil {
		return nil, err
	}
	s := &Session{
		Orchestrator: pb.NewOrchestratorClient(conn),
		options:      options,
		conn:         conn,
		wake:         make(chan struct{}, 1),
		done:         make(chan struct{}),
		table:        make(map[string]*entry),
		abandoned:    make(map[string]bool),
	}
	s.held, s.lose = context.WithCancelCause(context.Background())
	welcomed := make(chan struct{})
	go s.run(sync.OnceFunc(func() { close(welcomed) }))
	select {
	case <-welcomed:
		return s, nil
	case <-s.done:
		conn.Close()
		return nil, s.err
	case <-ctx.Done():
		s.mu.Lock()
		err := fmt.Errorf("no Clearway service answers at %s: %w", address, errors.Join(context.Cause(ctx), s.broke))
		s.mu.Unlock()
		s.fail(err)
		conn.Close()
		return nil, err
	}
}

// ID returns the session's id, which changes if the session expires.
func (s *Session) ID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id
}

// Propose sends a proposal and returns the final decision, even if the connection breaks in between. A wait is returned
// only if the proposal is not queued: propose again after its RetryAfter. When ctx ends, the proposal is withdrawn.
func (s *Session) Propose(ctx context.Context, proposal *pb.Proposal) (Answer, error) {
	if proposal.Id == "" {
		proposal.Id = newID()
	}
	waiting := &entry{proposal: proposal, answer: make(chan Answer, 1)}
	s.mu.Lock()
	if s.err != nil || s.closing {
		err := s.err
		s.mu.Unlock()
		return Answer{}, errors.Join(ErrClosed, err)
	}
	// Entered before it is sent, so that a proposal in flight is always in the table.
	s.order++
	waiting.order = s.order
	s.table[proposal.Id] = waiting
	s.outbox = append(s.outbox, proposal)
	s.mu.Unlock()
	s.nudge()
	select {
	case answer := <-waiting.answer:
		return answer, nil
	case <-s.done:
		return Answer{}, errors.Join(ErrClosed, s.err)
	case <-ctx.Done():
		s.withdraw(proposal.Id)
		return Answer{}, context.Cause(ctx)
	}
}

func (s *Session) withdraw(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, waits := s.table[id]; waits {
		delete(s.table, id)
		s.abandoned[id] = true
		s.withdrawn = append(s.withdrawn, id)
	}
	s.nudge()
}

// Close waits until all proposals are decided, says goodbye, and closes the connection. Runs that are still Running
// become Crashed.
func (s *Session) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.nudge()
	select {
	case <-s.done:
	case <-ctx.Done():
		s.fail(context.Cause(ctx))
	}
	return errors.Join(s.err, s.conn.Close())
}

// nudge wakes the stream, so that it sends what is pending.
func (s *Session) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// newID returns a time-ordered UUID.
func newID() string { return uuid.Must(uuid.NewV7()).String() }
