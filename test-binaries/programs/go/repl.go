// Reads commands from standard input, one a line, as long as there are any: a calculator of polish notation with variables.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

var variables = map[string]float64{}

func evaluate(words []string) (float64, []string, error) {
	if len(words) == 0 {
		return 0, nil, errors.New("an expression ends too early")
	}
	word, rest := words[0], words[1:]
	if !strings.Contains("+-*/", word) {
		if value, ok := variables[word]; ok {
			return value, rest, nil
		}
		value, err := strconv.ParseFloat(word, 64)
		return value, rest, err
	}
	left, rest, err := evaluate(rest)
	if err != nil {
		return 0, nil, err
	}
	right, rest, err := evaluate(rest)
	if err != nil {
		return 0, nil, err
	}
	switch word {
	case "+":
		return left + right, rest, nil
	case "-":
		return left - right, rest, nil
	case "*":
		return left * right, rest, nil
	}
	return left / right, rest, nil
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for number := 1; lines.Scan(); number++ {
		words := strings.Fields(lines.Text())
		switch {
		case len(words) == 0:
			continue
		case words[0] == "quit":
			fmt.Println("bye")
			os.Exit(4)
		case words[0] == "let" && len(words) > 2:
			value, _, err := evaluate(words[2:])
			if err == nil {
				variables[words[1]] = value
			}
			fmt.Println(number, words[1], value, err)
		default:
			value, rest, err := evaluate(words)
			fmt.Println(number, value, rest, err)
		}
	}
	fmt.Println("end", lines.Err())
}
