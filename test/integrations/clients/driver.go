// driver.go: clients/go as the test drives it: a command a line on standard input, one line of answer.
package main

import (
	"bufio"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"
)

func main() {
	if err := connect(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	var tickets []outcome
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var first, last int
		switch command := strings.Fields(lines.Text()); command[0] {
		case "serve":
			fmt.Sscan(strings.Join(command[1:], " "), &first, &last)
			without, by := 0, map[string]bool{}
			for unit := first; unit <= last; unit++ {
				reply, ticket := answer("spam", fmt.Sprintf("unit %d", unit), func(version string) string { return version }, "1.0.0")
				if ticket["decision"] == nil {
					without++
				}
				by[reply] = true
				tickets = append(tickets, ticket)
			}
			var names []string
			for name := range by {
				names = append(names, name)
			}
			sort.Strings(names)
			fmt.Println("served", last-first+1, "without", without, "by", strings.Join(names, ","))
		case "truth":
			for _, ticket := range tickets {
				truth(ticket, true)
			}
			fmt.Println("told", len(tickets))
			tickets = nil
		case "send":
			patience := 60.0
			if len(command) > 1 {
				fmt.Sscan(command[1], &patience)
			}
			_ = send(time.Duration(patience * float64(time.Second)))
			fmt.Println("kept", len(kept)+len(batch))
		case "quit":
			fmt.Println("bye")
			return
		}
	}
}
