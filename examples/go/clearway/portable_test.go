package clearway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
)

func TestAnErrorHasItsCausesAndMembers(t *testing.T) {
	said := Portable(fmt.Errorf("outer: %w", errors.New("inner")))
	if said.Message != "outer: inner" || said.Cause.GetMessage() != "inner" || said.Cause.GetType() != "errors.errorString" {
		t.Errorf("said %v", said)
	}
	if group := Portable(errors.Join(errors.New("one"), errors.New("two"))); len(group.Members) != 2 || group.Members[1].Message != "two" {
		t.Errorf("said %v", group)
	}
}

func TestAPanicIsAFailureWithItsStack(t *testing.T) {
	_, err := guarded(context.Background(), func(context.Context) (any, error) { panic("at the disco") })
	said := Portable(err)
	if said.Message != "at the disco" || !strings.Contains(said.StackTrace, "portable_test.go") {
		t.Errorf("said %v", said)
	}
}

func TestALargeErrorStaysWithinWhatAStateHolds(t *testing.T) {
	var all []error
	for range 100 {
		all = append(all, errors.New(strings.Repeat("😀", 20_000)))
	}
	said := Portable(errors.Join(all...))
	if size := proto.Size(said); size > 65_536 || said.Message == "" {
		t.Errorf("it has %d bytes", size)
	}
}
