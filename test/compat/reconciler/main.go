// Drives an Admin API with the engine of Kong's declarative tools, which compares every field that it reads back.
//
//	reconciler ADMIN_URL dump FILE    writes what the gateway has to FILE (YAML)
//	reconciler ADMIN_URL diff FILE    says what would change to make the gateway as FILE says
//	reconciler ADMIN_URL sync FILE    makes it so
//	reconciler ADMIN_URL reset        removes everything
//
// diff, sync and reset end with one line of JSON: {"created":0,"updated":0,"deleted":0,"changes":["update route x"]}.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/kong/go-database-reconciler/pkg/diff"
	"github.com/kong/go-database-reconciler/pkg/dump"
	"github.com/kong/go-database-reconciler/pkg/file"
	"github.com/kong/go-database-reconciler/pkg/state"
	"github.com/kong/go-database-reconciler/pkg/utils"
	"github.com/kong/go-kong/kong"
)

const parallelism = 10

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) < 2 || (args[1] != "reset" && len(args) != 3) {
		return errors.New("usage: reconciler ADMIN_URL dump|diff|sync|reset [FILE]")
	}
	address, command := args[0], args[1]
	client, err := utils.GetKongClient(utils.KongClientConfig{Address: address, Timeout: 30})
	if err != nil {
		return err
	}
	info, err := client.Root(ctx)
	if err != nil {
		return err
	}
	version, err := utils.ParseKongVersion(kong.VersionFromInfo(info))
	if err != nil {
		return err
	}
	config := dump.Config{IsConsumerGroupScopedPluginSupported: true, SkipHashForBasicAuth: true}
	raw, err := dump.Get(ctx, client, config)
	if err != nil {
		return fmt.Errorf("reading the gateway: %w", err)
	}
	current, err := state.Get(raw)
	if err != nil {
		return err
	}
	if command == "dump" {
		return file.KongStateToFile(current, file.WriteConfig{
			Filename: args[2], FileFormat: file.YAML, KongVersion: version.String(),
		})
	}
	wanted := &utils.KongRawState{}
	if command != "reset" {
		content, err := file.GetContentFromFiles([]string{args[2]}, false)
		if err != nil {
			return err
		}
		render := file.RenderConfig{CurrentState: current, KongVersion: version}
		if wanted, err = file.Get(ctx, content, render, config, client); err != nil {
			return fmt.Errorf("reading the file: %w", err)
		}
	}
	target, err := state.Get(wanted)
	if err != nil {
		return err
	}
	return solve(ctx, client, current, target, command == "diff")
}

func solve(ctx context.Context, client *kong.Client, current, target *state.KongState, isDry bool) error {
	silent := func(...any) {}
	syncer, err := diff.NewSyncer(diff.SyncerOpts{
		CurrentState: current, TargetState: target, KongClient: client, SilenceWarnings: true,
		CreatePrintln: silent, UpdatePrintln: silent, DeletePrintln: silent,
	})
	if err != nil {
		return err
	}
	stats, failures, changes := syncer.Solve(ctx, parallelism, isDry, true)
	if len(failures) > 0 {
		return errors.Join(failures...)
	}
	lines := []string{}
	for verb, entities := range map[string][]diff.EntityState{
		"create": changes.Creating, "update": changes.Updating, "delete": changes.Deleting,
	} {
		for _, entity := range entities {
			line := fmt.Sprintf("%s %s %s", verb, entity.Kind, entity.Name)
			if verb == "update" {
				// Both sides: what differs is what a reader of a failing test wants to see.
				body, err := json.Marshal(entity.Body)
				if err != nil {
					return err
				}
				line += " " + string(body)
			}
			lines = append(lines, line)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"created": stats.CreateOps.Count(), "updated": stats.UpdateOps.Count(), "deleted": stats.DeleteOps.Count(),
		"changes": lines,
	})
}
