// The application of the other folders, in Go, and the Go client beside it.
//
//	app worker URL
//	app enqueue URL < one JSON object a line: queue, workflow, args, and the options of Enqueue
//	app result URL ID
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	_ "github.com/dbos-inc/dbos-transact-golang/dbos/driver/sqlite"
)

type order struct {
	Name  string `json:"name"`
	Times int64  `json:"times"`
}

type greeting struct {
	Greeting string `json:"greeting"`
	Times    int64  `json:"times"`
}

func greet(_ dbos.Context, given order) (greeting, error) {
	return greeting{"hello " + given.Name, given.Times + 1}, nil
}

func echo(_ dbos.Context, value any) (any, error) { return value, nil }

// Go passes one argument on; this type stands for all of them.
func pair(_ dbos.Context, args dbos.PortableWorkflowArgs) (any, error) { return args, nil }

func when(_ dbos.Context, moment time.Time) (string, error) {
	return "time.Time " + moment.Format(time.RFC3339Nano), nil
}

func identity(ctx dbos.Context, _ string) (map[string]any, error) {
	user, err := dbos.GetAuthenticatedUser(ctx)
	if err != nil {
		return nil, err
	}
	id, err := dbos.GetWorkflowID(ctx)
	if err != nil {
		return nil, err
	}
	handle, err := dbos.RetrieveWorkflow[any](ctx, id)
	if err != nil {
		return nil, err
	}
	status, err := handle.GetStatus()
	return map[string]any{"user": user, "roles": status.AuthenticatedRoles}, err
}

func fail(_ dbos.Context, reason string) (string, error) { return "", errors.New(reason) }

func slow(ctx dbos.Context, seconds float64) (string, error) {
	for range int(seconds * 10) {
		if _, err := dbos.Sleep(ctx, 100*time.Millisecond); err != nil {
			return "", err
		}
	}
	return "done", nil
}

type warehouse struct{ name string }

func (w *warehouse) ConfigName() string { return w.name }

func (w *warehouse) restock(_ dbos.Context, sku string) (string, error) {
	return w.name + ": " + sku, nil
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func worker(url string) {
	ctx, err := dbos.NewContext(context.Background(), dbos.Config{
		AppName:            "sdks",
		ApplicationVersion: "v1",
		DatabaseURL:        url,
		DatabaseSchema:     os.Getenv("APP_SCHEMA"),
		Logger:             slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	check(err)
	dbos.RegisterWorkflow(ctx, greet, dbos.WithWorkflowName("greet"))
	dbos.RegisterWorkflow(ctx, echo, dbos.WithWorkflowName("echo"))
	dbos.RegisterWorkflow(ctx, pair, dbos.WithWorkflowName("pair"))
	dbos.RegisterWorkflow(ctx, when, dbos.WithWorkflowName("when"))
	dbos.RegisterWorkflow(ctx, identity, dbos.WithWorkflowName("identity"))
	dbos.RegisterWorkflow(ctx, fail, dbos.WithWorkflowName("fail"))
	dbos.RegisterWorkflow(ctx, slow, dbos.WithWorkflowName("slow"))
	berlin := &warehouse{"berlin"}
	dbos.RegisterWorkflow(ctx, berlin.restock, dbos.WithWorkflowName("restock"), dbos.WithInstance(berlin))
	check(dbos.Launch(ctx))
	quick := dbos.WithQueueBasePollingInterval(50 * time.Millisecond)
	for name, options := range map[string][]dbos.QueueOption{
		"plain":       {quick},
		"serial":      {quick, dbos.WithGlobalConcurrency(1)},
		"partitioned": {quick, dbos.WithPartitionConcurrency(1)},
		"limited":     {quick, dbos.WithRateLimiter(&dbos.RateLimiter{Limit: 2, Period: time.Second})},
	} {
		_, err := dbos.RegisterQueue(ctx, name, options...)
		check(err)
	}
	fmt.Println("ready")
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
}

type enqueued struct {
	Queue           string         `json:"queue"`
	Workflow        string         `json:"workflow"`
	Args            []any          `json:"args"`
	ID              string         `json:"id"`
	DeduplicationID string         `json:"deduplication_id"`
	Priority        uint           `json:"priority"`
	TimeoutMS       int64          `json:"timeout_ms"`
	PartitionKey    string         `json:"queue_partition_key"`
	Version         string         `json:"application_version"`
	Application     string         `json:"application"`
	InstanceName    string         `json:"instance_name"`
	ClassName       string         `json:"class_name"`
	DelayMS         int64          `json:"delay_ms"`
	User            string         `json:"authenticated_user"`
	Roles           []string       `json:"authenticated_roles"`
	AssumedRole     string         `json:"assumed_role"`
	Attributes      map[string]any `json:"attributes"`
}

func (e enqueued) options() []dbos.EnqueueOption {
	found := []dbos.EnqueueOption{dbos.WithEnqueueWorkflowID(e.ID)}
	add := func(given bool, option dbos.EnqueueOption) {
		if given {
			found = append(found, option)
		}
	}
	add(e.DeduplicationID != "", dbos.WithEnqueueDeduplicationID(e.DeduplicationID))
	add(e.Priority != 0, dbos.WithEnqueuePriority(e.Priority))
	add(e.TimeoutMS != 0, dbos.WithEnqueueTimeout(time.Duration(e.TimeoutMS)*time.Millisecond))
	add(e.PartitionKey != "", dbos.WithEnqueueQueuePartitionKey(e.PartitionKey))
	add(e.Version != "", dbos.WithEnqueueApplicationVersion(e.Version))
	add(e.Application != "", dbos.WithEnqueueApplicationName(e.Application))
	add(e.ClassName != "", dbos.WithEnqueueClassName(e.ClassName))
	add(e.InstanceName != "", dbos.WithEnqueueConfigName(e.InstanceName))
	add(e.DelayMS != 0, dbos.WithEnqueueDelay(time.Duration(e.DelayMS)*time.Millisecond))
	add(e.User != "", dbos.WithEnqueueAuthenticatedUser(e.User))
	add(e.Roles != nil, dbos.WithEnqueueAuthenticatedRoles(e.Roles...))
	add(e.AssumedRole != "", dbos.WithEnqueueAssumedRole(e.AssumedRole))
	add(e.Attributes != nil, dbos.WithEnqueueAttributes(e.Attributes))
	return found
}

func main() {
	mode, url := os.Args[1], os.Args[2]
	if mode == "worker" {
		worker(url)
		return
	}
	client, err := dbos.NewClient(context.Background(), dbos.ClientConfig{DatabaseURL: url})
	check(err)
	if mode == "result" {
		handle, err := dbos.RetrieveWorkflow[any](client, os.Args[3])
		check(err)
		result, err := handle.GetResult(dbos.WithHandleTimeout(30 * time.Second))
		check(err)
		check(json.NewEncoder(os.Stdout).Encode(result))
		return
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var one enqueued
		check(json.Unmarshal(lines.Bytes(), &one))
		input := dbos.PortableWorkflowArgs{PositionalArgs: one.Args}
		_, err := dbos.Enqueue[any](client, one.Queue, one.Workflow, input, one.options()...)
		check(err)
	}
}
