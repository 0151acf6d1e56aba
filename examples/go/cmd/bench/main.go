// Bench measures transitions a second: task runs started and completed on one stream, all in flight at once, by
// messages of 256 proposals. It writes the figure and nothing else.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "github.com/clearway/clearway/protos/go/clearway/v1"
)

const aMessage = 256

func main() {
	address := flag.String("address", "127.0.0.1:4200", "host:port of the service")
	tasks := flag.Int("tasks", 10_240, "how many task runs are started and completed")
	flag.Parse()
	rate, err := measure(context.Background(), *address, *tasks)
	if err != nil {
		fmt.Fprintln(os.Stderr, "failed:", err)
		os.Exit(1)
	}
	fmt.Printf("%.1f\n", rate)
}

func measure(ctx context.Context, address string, tasks int) (float64, error) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	service := pb.NewOrchestratorClient(conn)
	created, err := service.CreateFlowRun(ctx, &pb.CreateFlowRunRequest{FlowRun: &pb.FlowRunSpec{FlowName: "benchmark"}})
	if err != nil {
		return 0, err
	}
	stream, err := service.Propose(ctx)
	if err != nil {
		return 0, err
	}
	if err := stream.Send(&pb.ProposeRequest{Hello: &pb.Hello{ClientName: "benchmark", Language: "go"}}); err != nil {
		return 0, err
	}
	if _, err := stream.Recv(); err != nil {
		return 0, err
	}
	// All messages are made before the clock runs, as for the other figures.
	messages := started(created.FlowRun.Spec.Id, tasks)
	messages = append(messages, ended(messages)...)
	read := make(chan error, 1)
	begun := time.Now()
	go func() { read <- readAccepts(stream, 2*tasks) }()
	for _, message := range messages {
		if err := stream.Send(message); err != nil {
			return 0, errors.Join(err, <-read)
		}
	}
	if err := <-read; err != nil {
		return 0, err
	}
	rate := float64(2*tasks) / time.Since(begun).Seconds()
	return rate, stream.Send(&pb.ProposeRequest{Goodbye: true})
}

func readAccepts(stream grpc.BidiStreamingClient[pb.ProposeRequest, pb.ProposeResponse], rest int) error {
	for rest > 0 {
		message, err := stream.Recv()
		if err != nil {
			return err
		}
		for _, decision := range message.Decisions {
			if decision.GetAccept() == nil {
				return fmt.Errorf("not accepted: %v", decision)
			}
		}
		rest -= len(message.Decisions)
	}
	return nil
}

// started returns messages that create task runs and ask to run them.
func started(flow string, tasks int) (messages []*pb.ProposeRequest) {
	for first := 0; first < tasks; first += aMessage {
		message := &pb.ProposeRequest{}
		for number := first; number < min(first+aMessage, tasks); number++ {
			message.Proposals = append(message.Proposals, &pb.Proposal{
				Id:            newID(),
				CreateTaskRun: &pb.TaskRunSpec{Id: newID(), FlowRunId: flow, TaskKey: "benchmark", DynamicKey: strconv.Itoa(number)},
				State:         &pb.ProposedState{Type: pb.StateType_STATE_TYPE_RUNNING},
			})
		}
		messages = append(messages, message)
	}
	return messages
}

// ended returns messages that complete what others have started.
func ended(begun []*pb.ProposeRequest) (messages []*pb.ProposeRequest) {
	for _, other := range begun {
		message := &pb.ProposeRequest{}
		for _, proposal := range other.Proposals {
			message.Proposals = append(message.Proposals, &pb.Proposal{
				Id:    newID(),
				Run:   &pb.Proposal_TaskRunId{TaskRunId: proposal.CreateTaskRun.Id},
				State: &pb.ProposedState{Type: pb.StateType_STATE_TYPE_COMPLETED},
			})
		}
		messages = append(messages, message)
	}
	return messages
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }
