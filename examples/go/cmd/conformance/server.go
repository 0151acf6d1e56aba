package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "github.com/clearway/clearway/protos/go/clearway/v1"
)

const deadline = 30 * time.Second

// server is a running server, or one that the runner starts, moves and kills.
type server struct {
	conn    *grpc.ClientConn
	before  []*grpc.ClientConn // kept open: closing a connection would end its streams before they see the server die
	command []string
	port    string
	process *exec.Cmd
	input   io.WriteCloser
	output  *bufio.Reader
}

func newServer(address, command string) (*server, error) {
	s := &server{command: strings.Fields(command), port: "0"}
	if command == "" {
		return s, s.connect(address)
	}
	return s, s.start(float64(time.Now().UnixMicro()) / 1e6)
}

// lacks returns why scenarios with these needs cannot be played.
func (s *server) lacks(wanted []string) (absent []string) {
	for _, need := range wanted {
		if need != "wire" && s.process == nil {
			absent = append(absent, needs[need])
		}
	}
	return absent
}

func (s *server) connect(address string) (err error) {
	s.conn, err = grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1<<30), grpc.WaitForReady(true)))
	return err
}

func (s *server) start(now float64) (err error) {
	s.process = exec.Command(s.command[0], append(s.command[1:], "--port", s.port)...)
	s.process.Env = append(os.Environ(), fmt.Sprintf("CONFORMANCE_NOW=%.6f", now))
	s.process.Stderr = os.Stderr
	if s.input, err = s.process.StdinPipe(); err != nil {
		return err
	}
	output, err := s.process.StdoutPipe()
	if err != nil {
		return err
	}
	s.output = bufio.NewReader(output)
	if err := s.process.Start(); err != nil {
		return err
	}
	address, err := s.answer("listening")
	if err != nil {
		return err
	}
	s.port = address[strings.LastIndex(address, ":")+1:]
	return s.connect(address)
}

// answer returns what the process writes after a word.
func (s *server) answer(word string) (string, error) {
	line, err := s.output.ReadString('\n')
	said, found := strings.CutPrefix(strings.TrimSpace(line), word+" ")
	if !found {
		return "", fmt.Errorf("the server's command said %q (%v); it must say '%s ...'", line, err, word)
	}
	return said, nil
}

// advance moves the clock, and returns when everything due by then is done.
func (s *server) advance(seconds float64) error {
	if _, err := fmt.Fprintf(s.input, "advance %v\n", seconds); err != nil {
		return err
	}
	_, err := s.answer("advanced")
	return err
}

// restart kills the server and starts it again at the same time by its clock.
func (s *server) restart() error {
	now, err := s.now()
	if err != nil {
		return err
	}
	s.kill()
	s.before = append(s.before, s.conn)
	return s.start(float64(now.UnixMicro()) / 1e6)
}

func (s *server) now() (time.Time, error) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	info, err := pb.NewOrchestratorClient(s.conn).GetServerInfo(ctx, &pb.GetServerInfoRequest{})
	return info.GetCurrentTime().AsTime(), err
}

func (s *server) kill() {
	if s.process != nil {
		_ = s.process.Process.Kill()
		_ = s.process.Wait()
	}
}

func (s *server) close() {
	for _, conn := range append(s.before, s.conn) {
		_ = conn.Close()
	}
	s.kill()
}
