package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"

	pb "github.com/clearway/clearway/protos/go/clearway/v1"
)

// stream is an open Propose call, whose messages are read as they come.
type stream struct {
	call   grpc.BidiStreamingClient[pb.ProposeRequest, pb.ProposeResponse]
	cancel context.CancelFunc

	mu        sync.Mutex
	changed   chan struct{} // closed and replaced when a message arrives
	welcome   *pb.Welcome
	decisions map[string][]*pb.Decision // by proposal; those that no step has taken
	pongs     map[int64]bool
	ended     bool
	end       error
}

func openStream(s *server, first *pb.ProposeRequest) (*stream, error) {
	ctx, cancel := context.WithCancel(context.Background())
	call, err := pb.NewOrchestratorClient(s.conn).Propose(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	opened := &stream{
		call: call, cancel: cancel, changed: make(chan struct{}),
		decisions: make(map[string][]*pb.Decision), pongs: make(map[int64]bool),
	}
	opened.send(first)
	go opened.read()
	return opened, nil
}

func (s *stream) read() {
	for {
		message, err := s.call.Recv()
		s.mu.Lock()
		if err != nil {
			s.ended, s.end = true, err
		} else {
			s.note(message)
		}
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (s *stream) note(message *pb.ProposeResponse) {
	if message.Welcome != nil {
		s.welcome = message.Welcome
	}
	for _, decision := range message.Decisions {
		s.decisions[decision.ProposalId] = append(s.decisions[decision.ProposalId], decision)
	}
	s.pongs[message.Pong] = true
}

// send sends a message; if the stream has ended, the reader gets the error.
func (s *stream) send(message *pb.ProposeRequest) { _ = s.call.Send(message) }

// await returns when came, called under the lock, returns true, or with the error that ended the stream.
func (s *stream) await(what string, came func() bool) error {
	timeout := time.After(deadline)
	for {
		s.mu.Lock()
		there, ended, end, changed := came(), s.ended, s.end, s.changed
		s.mu.Unlock()
		switch {
		case there:
			return nil
		case ended:
			return end
		}
		select {
		case <-changed:
		case <-timeout:
			return fmt.Errorf("%s did not come within %v", what, deadline)
		}
	}
}

func (s *stream) awaitWelcome() (*pb.Welcome, error) {
	err := s.await("the welcome", func() bool { return s.welcome != nil })
	return s.welcome, err
}

// decision returns the next decision about a proposal.
func (s *stream) decision(proposal string) (next *pb.Decision, err error) {
	err = s.await("a decision about "+proposal, func() bool {
		came := s.decisions[proposal]
		if len(came) > 0 {
			next, s.decisions[proposal] = came[0], came[1:]
		}
		return next != nil
	})
	return next, err
}

func (s *stream) pong(number int64) error {
	return s.await(fmt.Sprintf("pong %d", number), func() bool { return s.pongs[number] })
}

// awaitEnd returns the error that ended the stream, nil for status OK.
func (s *stream) awaitEnd() error {
	err := s.await("the stream's end", func() bool { return false })
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// unread returns the decisions that no step awaited.
func (s *stream) unread() (left []*pb.Decision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, decisions := range s.decisions {
		left = append(left, decisions...)
	}
	return left
}

// finish says goodbye, and waits for the end.
func (s *stream) finish() {
	s.send(&pb.ProposeRequest{Goodbye: true})
	_ = s.call.CloseSend()
	_ = s.awaitEnd()
	s.cancel()
}
