// The same for releases before 1.0, which declare their queues in code: app worker URL
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
)

type order struct {
	Name  string `json:"name"`
	Times int64  `json:"times"`
}

type greeting struct {
	Greeting string `json:"greeting"`
	Times    int64  `json:"times"`
}

func greet(_ dbos.DBOSContext, given order) (greeting, error) {
	return greeting{"hello " + given.Name, given.Times + 1}, nil
}

func fail(_ dbos.DBOSContext, reason string) (string, error) { return "", errors.New(reason) }

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	ctx, err := dbos.NewDBOSContext(context.Background(), dbos.Config{
		AppName:            "sdks",
		ApplicationVersion: "v1",
		DatabaseURL:        os.Args[2],
		Logger:             slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	check(err)
	dbos.RegisterWorkflow(ctx, greet, dbos.WithWorkflowName("greet"))
	dbos.RegisterWorkflow(ctx, fail, dbos.WithWorkflowName("fail"))
	dbos.NewWorkflowQueue(ctx, "plain", dbos.WithQueueBasePollingInterval(50*time.Millisecond))
	check(dbos.Launch(ctx))
	fmt.Println("ready")
	select {}
}
