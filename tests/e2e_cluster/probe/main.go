// probe is what the tests' pods run: it answers HTTP from a folder, fetches from others, writes files
// and takes memory.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
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
	client := http.Client{Timeout: time.Second}
	var failure error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		var response *http.Response
		if response, failure = client.Get(url); failure == nil {
			defer response.Body.Close()
			_, failure = io.Copy(os.Stdout, response.Body)
			return failure
		}
	}
	return failure
}
