// The same for releases before 1.4: app worker URL
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
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

func fail(_ dbos.Context, reason string) (string, error) { return "", errors.New(reason) }

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	ctx, err := dbos.NewContext(context.Background(), dbos.Config{
		AppName:            "sdks",
		ApplicationVersion: "v1",
		DatabaseURL:        os.Args[2],
		Logger:             slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	check(err)
	dbos.RegisterWorkflow(ctx, greet, dbos.WithWorkflowName("greet"))
	dbos.RegisterWorkflow(ctx, fail, dbos.WithWorkflowName("fail"))
	check(dbos.Launch(ctx))
	_, err = dbos.RegisterQueue(ctx, "plain", dbos.WithQueueBasePollingInterval(50*time.Millisecond))
	check(err)
	fmt.Println("ready")
	select {}
}
