// probe is what the tests' pods run: it answers HTTP from a folder, fetches from others, writes files
// and takes memory.
package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"
)

func main() {
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(action string, arguments []string) error {
	switch action {
	case "serve": // ADDRESS FOLDER
		return http.ListenAndServe(arguments[0], http.FileServer(http.Dir(arguments[1])))
	case "fetch": // URL
		return fetch(arguments[0])
	case "refused": // URL
		return refused(arguments[0])
	case "write": // FILE TEXT
		return os.WriteFile(arguments[0], []byte(arguments[1]), 0o644)
	case "hold": // MEBIBYTES
		return hold(arguments[0])
	}
	return fmt.Errorf("unknown action %q", action)
}

// hold takes the memory and touches all of it.
func hold(mebibytes string) error {
	count, err := strconv.Atoi(mebibytes)
	if err != nil {
		return err
	}
	held := make([]byte, count<<20)
	for at := range held {
		held[at] = 1
	}
	fmt.Println(len(held))
	return nil
}

// fetch waits for an answer: Services reach a pod only a moment after it is ready.
func fetch(url string) error {
	var failure error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		var body []byte
		if body, failure = get(url); failure == nil {
			fmt.Print(string(body))
			return nil
		}
	}
	return failure
}

// refused waits until connections are refused: policies hold only a moment after they were written.
func refused(url string) error {
	var failure error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if _, failure = get(url); errors.Is(failure, syscall.ECONNREFUSED) {
			return nil
		}
	}
	return fmt.Errorf("%s does not refuse: %v", url, failure)
}

// get asks over a connection of its own, as policies let an open one be.
func get(url string) ([]byte, error) {
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}
