package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// A member is a replica in a process of its own.
type member struct {
	address string
	command *exec.Cmd
	in      io.WriteCloser
	out     *json.Decoder
}

// goodbye is how long a replica may take to end.
const goodbye = 10 * time.Second

// start starts a replica of this same program.
func start(ctx context.Context, redis string) (*member, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("replica: %w", err)
	}
	command := exec.CommandContext(ctx, self) //nolint:gosec // this very program
	command.Env = append(os.Environ(), replicaEnv+"="+redis)
	command.Stderr = os.Stderr
	command.WaitDelay = goodbye
	in, err := command.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("replica: %w", err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("replica: %w", err)
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("replica: %w", err)
	}
	m := &member{command: command, in: in, out: json.NewDecoder(out)}
	var said hello
	if err := m.out.Decode(&said); err != nil {
		return nil, fmt.Errorf("replica: it does not say where it listens: %w", errors.Join(err, command.Wait()))
	}
	m.address = said.Address
	return m, nil
}

// end lets a replica end, and returns what it saw.
func (m *member) end() (report, error) {
	var said report
	err := errors.Join(m.in.Close(), m.out.Decode(&said), m.command.Wait())
	if err != nil {
		return report{}, fmt.Errorf("replica: %w", err)
	}
	return said, nil
}
