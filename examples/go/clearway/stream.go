package clearway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	pb "github.com/clearway/clearway/protos/go/clearway/v1"
)

const (
	aMessage    = 256 // proposals; everything pending is sent together
	welcomeTime = 10 * time.Second
	firstPause  = 50 * time.Millisecond
	longPause   = 2 * time.Second
)

// run keeps a stream open until the session is closed or the client stops reconnecting.
func (s *Session) run(welcomed func()) {
	defer close(s.done)
	pause, lost := firstPause, time.Now()
	for {
		opened, err := s.stream(welcomed)
		if opened {
			pause, lost = firstPause, time.Now()
		}
		s.mu.Lock()
		s.broke = err
		ended := s.err != nil || (s.closing && err == nil)
		s.mu.Unlock()
		switch {
		case ended:
			return
		case errors.Is(err, ErrSessionExpired):
			s.expire(err)
			continue
		case permanent(err) || time.Since(lost) > s.options.ReconnectTimeout:
			s.fail(fmt.Errorf("the service is lost: %w", err))
			return
		}
		s.options.Logf("the connection broke (%v); trying again", err)
		time.Sleep(rand.N(pause)) // full jitter: clients that lost a server together come back one by one
		pause = min(2*pause, longPause)
	}
}

// stream runs one stream from its hello to its end. It returns nil after a goodbye.
func (s *Session) stream(welcomed func()) (opened bool, err error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	stream, err := s.Orchestrator.Propose(ctx)
	if err != nil {
		return false, fromStatus(err)
	}
	// The service answers pings, so silence for a whole lease means that the stream is lost.
	silence := time.AfterFunc(welcomeTime, func() { cancel(errors.New("the service is silent")) })
	defer silence.Stop()
	hello := &pb.Hello{ClientName: s.options.Name, Language: "go", Version: Version, ResumeSessionId: s.ID()}
	// If Send fails, Recv returns why.
	_ = stream.Send(&pb.ProposeRequest{Hello: hello})
	first, err := stream.Recv()
	if err != nil {
		return false, fromStatus(err)
	}
	if first.Welcome == nil {
		return false, fmt.Errorf("%w: the first message has no welcome", ErrProtocol)
	}
	lease := first.Welcome.Lease.AsDuration()
	silence.Reset(lease)
	s.welcome(first.Welcome)
	welcomed()
	s.deliver(first.Decisions)

	ended := make(chan error, 1)
	go func() {
		for {
			message, err := stream.Recv()
			if err != nil {
				ended <- err
				return
			}
			silence.Reset(lease)
			s.deliver(message.Decisions)
		}
	}()
	pings := time.NewTicker(lease / 3)
	defer pings.Stop()
	for number := int64(1); ; {
		request, last := s.next()
		if request != nil {
			_ = stream.Send(request)
			if last {
				_ = stream.CloseSend()
				if err := <-ended; !errors.Is(err, io.EOF) {
					return true, fromStatus(err)
				}
				return true, nil
			}
			continue
		}
		select {
		case <-s.wake:
		case <-pings.C:
			_ = stream.Send(&pb.ProposeRequest{Ping: number})
			number++
		case err := <-ended:
			return true, fromStatus(err)
		}
	}
}

// welcome stores the session and queues all undecided proposals to be sent again, in their order.
func (s *Session) welcome(welcome *pb.Welcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.id != "" && s.id == welcome.SessionId {
		s.options.Logf("resumed the session, %d proposals are sent again", len(s.table))
	}
	s.id, s.lease = welcome.SessionId, welcome.Lease.AsDuration()
	entries := make([]*entry, 0, len(s.table))
	for _, waiting := range s.table {
		entries = append(entries, waiting)
	}
	slices.SortFunc(entries, func(a, b *entry) int { return cmp.Compare(a.order, b.order) })
	s.outbox = s.outbox[:0]
	for _, waiting := range entries {
		s.outbox = append(s.outbox, waiting.proposal)
	}
}

// next returns the next message to send, nil if there is none, and whether it is the last one.
func (s *Session) next() (request *pb.ProposeRequest, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.outbox) > 0 || len(s.withdrawn) > 0 {
		count := min(len(s.outbox), aMessage)
		withdrawals := min(len(s.withdrawn), aMessage)
		request := &pb.ProposeRequest{
			Proposals:   slices.Clone(s.outbox[:count]),
			Withdrawals: slices.Clone(s.withdrawn[:withdrawals]),
		}
		s.outbox, s.withdrawn = s.outbox[count:], s.withdrawn[withdrawals:]
		return request, false
	}
	if s.closing && len(s.table) == 0 {
		return &pb.ProposeRequest{Goodbye: true}, true
	}
	return nil, false
}

// deliver hands each final decision to the caller that proposed.
func (s *Session) deliver(decisions []*pb.Decision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, decision := range decisions {
		if decision.GetWait().GetQueued() {
			continue // queued; the final decision follows
		}
		if s.abandoned[decision.ProposalId] {
			delete(s.abandoned, decision.ProposalId)
			s.endUnwanted(decision)
			continue
		}
		waiting, known := s.table[decision.ProposalId]
		if !known {
			continue
		}
		switch decision.GetError().GetReason() {
		case pb.ErrorReason_ERROR_REASON_STORE_UNAVAILABLE, pb.ErrorReason_ERROR_REASON_SHUTTING_DOWN:
			time.AfterFunc(time.Second, func() { s.again(waiting) })
			continue
		}
		delete(s.table, decision.ProposalId)
		waiting.answer <- Answer{Decision: decision, Held: s.held}
	}
	s.nudge()
}

// endUnwanted ends a run that was accepted while its proposal was being withdrawn. The lock is held.
func (s *Session) endUnwanted(decision *pb.Decision) {
	if decision.GetAccept() == nil || decision.State.GetType() != pb.StateType_STATE_TYPE_RUNNING {
		return
	}
	s.outbox = append(s.outbox, &pb.Proposal{
		Id:    newID(),
		Run:   &pb.Proposal_TaskRunId{TaskRunId: decision.RunId},
		State: &pb.ProposedState{Type: pb.StateType_STATE_TYPE_CANCELLED, Message: "no longer wanted"},
	})
}

func (s *Session) again(waiting *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.table[waiting.proposal.Id] == waiting {
		s.outbox = append(s.outbox, waiting.proposal)
		s.nudge()
	}
}

// expire ends the session locally: its runs are Crashed, and their code must stop.
func (s *Session) expire(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options.Logf("the session has expired; opening a new one")
	s.lose(err)
	s.id = ""
	s.held, s.lose = context.WithCancelCause(context.Background())
}

func (s *Session) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
		s.lose(err)
	}
}
