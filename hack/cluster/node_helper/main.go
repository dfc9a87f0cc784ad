// node-helper is the one program in the node's own image. Without arguments it is a pod's first process: it holds the
// pod's namespaces and reaps orphans. With -a create|delete -p PATH it makes or removes a local volume's folder.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	action := flag.String("a", "pause", "pause, create or delete")
	path := flag.String("p", "", "the volume's folder")
	flag.String("s", "", "the volume's size in bytes; folders have no size limit")
	flag.String("m", "", "the volume's mode; only Filesystem exists")
	flag.Parse()
	if err := run(*action, *path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(action, path string) error {
	switch action {
	case "pause":
		pause()
		return nil
	case "create":
		return create(path)
	case "delete":
		return os.RemoveAll(path)
	}
	return fmt.Errorf("unknown action %q: use pause, create or delete", action)
}

// create leaves the folder open to every user, as pods that are not root must be able to write to their volumes.
func create(path string) error {
	if err := os.MkdirAll(path, 0o777); err != nil {
		return err
	}
	return os.Chmod(path, 0o777) // the umask held some bits back
}

func pause() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for received := range signals {
		if received != syscall.SIGCHLD {
			return
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
}
