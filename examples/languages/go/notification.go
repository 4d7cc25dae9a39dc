// A Gristmill filter in Go: checks a notification, drops what is private, and says whom it is for.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

// Exit codes of sysexits.h that Gristmill knows.
const (
	reject = 65 // EX_DATAERR: this message can never work
	retry  = 75 // EX_TEMPFAIL: it may work later
)

type config struct {
	Private string `json:"private"`
}

func main() {
	settings := config{Private: "ip"}
	if err := json.Unmarshal([]byte(os.Getenv("GRISTMILL_CONFIG")), &settings); err != nil {
		end(retry, "the config cannot be used: %v", err)
	}
	payload, err := io.ReadAll(os.Stdin)
	if err != nil {
		end(retry, "the payload cannot be read: %v", err)
	}
	user, rest, err := filter(payload, settings.Private)
	if err != nil {
		end(reject, "%v", err)
	}
	// With mode = "cgi" the output begins with headers and an empty line.
	fmt.Printf("user: %s\n\n%s", user, rest)
}

// filter gives back the user, and the notification without what is private.
func filter(payload []byte, private string) (string, []byte, error) {
	var fields map[string]json.RawMessage
	var syntax *json.SyntaxError
	if err := json.Unmarshal(payload, &fields); errors.As(err, &syntax) {
		return "", nil, fmt.Errorf("not JSON: %w", err)
	}
	if !utf8.Valid(payload) {
		return "", nil, errors.New("not JSON: not UTF-8")
	}
	var user, text *string
	if json.Unmarshal(fields["user"], &user) != nil || json.Unmarshal(fields["text"], &text) != nil || user == nil || text == nil {
		return "", nil, errors.New("no notification: `user` and `text` are to be strings")
	}
	if strings.ContainsAny(*user, "\r\n") {
		return "", nil, errors.New("no notification: `user` holds a line break, which no header can")
	}
	delete(fields, private)
	rest, err := json.Marshal(fields)
	return *user, rest, err
}

// end says why, as the last line on stderr, and exits.
func end(code int, format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(code)
}
