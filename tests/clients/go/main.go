// A program in a box: one call of Go's SDKs, set up by its environment alone.
// Arguments: provider, call. It prints the text it got.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"
)

var calls = map[string]func(context.Context) (string, error){
	"openai plain": func(ctx context.Context) (string, error) {
		client := openai.NewClient()
		answer, err := client.Responses.New(ctx, question())
		if err != nil {
			return "", err
		}
		return answer.OutputText(), nil
	},
	"openai stream": func(ctx context.Context) (string, error) {
		client := openai.NewClient()
		events := client.Responses.NewStreaming(ctx, question())
		text := ""
		for events.Next() {
			if event := events.Current(); event.Type == "response.output_text.delta" {
				text += event.Delta
			}
		}
		return text, events.Err()
	},
	"openai tools": func(ctx context.Context) (string, error) {
		client := openai.NewClient()
		asked := question()
		asked.Tools = []responses.ToolUnionParam{{OfFunction: &responses.FunctionToolParam{
			Name:       "weather",
			Parameters: map[string]any{"type": "object", "properties": cities()},
			Strict:     openai.Bool(false),
		}}}
		answer, err := client.Responses.New(ctx, asked)
		if err != nil {
			return "", err
		}
		return answer.Output[0].AsFunctionCall().Arguments, nil
	},
	"openai files": func(ctx context.Context) (string, error) {
		client := openai.NewClient()
		file := openai.File(bytes.NewReader(bytes.Repeat([]byte("x"), 100_000)), "f.jsonl", "application/jsonl")
		answer, err := client.Files.New(ctx, openai.FileNewParams{File: file, Purpose: openai.FilePurposeBatch})
		if err != nil {
			return "", err
		}
		return answer.ID, nil
	},
	"openai websocket": func(ctx context.Context) (string, error) {
		client := openai.NewClient()
		connection, err := client.Responses.Connect(ctx, responses.ResponseConnectionOptions{})
		if err != nil {
			return "", err
		}
		defer connection.Close()
		asked := json.RawMessage(`{"type": "response.create", "model": "gpt-5", "input": "say ping"}`)
		if err := connection.SendRaw(ctx, asked); err != nil {
			return "", err
		}
		answer, err := connection.FinalResponse(ctx)
		if err != nil {
			return "", err
		}
		return answer.OutputText(), nil
	},
	"anthropic plain": func(ctx context.Context) (string, error) {
		client := anthropic.NewClient()
		answer, err := client.Messages.New(ctx, message())
		if err != nil {
			return "", err
		}
		return answer.Content[0].Text, nil
	},
	"anthropic stream": func(ctx context.Context) (string, error) {
		client := anthropic.NewClient()
		events := client.Messages.NewStreaming(ctx, message())
		whole := anthropic.Message{}
		for events.Next() {
			if err := whole.Accumulate(events.Current()); err != nil {
				return "", err
			}
		}
		if err := events.Err(); err != nil {
			return "", err
		}
		return whole.Content[0].Text, nil
	},
	"anthropic tools": func(ctx context.Context) (string, error) {
		client := anthropic.NewClient()
		asked := message()
		schema := anthropic.ToolInputSchemaParam{Properties: cities()}
		asked.Tools = []anthropic.ToolUnionParam{anthropic.ToolUnionParamOfTool(schema, "weather")}
		answer, err := client.Messages.New(ctx, asked)
		if err != nil {
			return "", err
		}
		return string(answer.Content[0].Input), nil
	},
	"anthropic files": func(ctx context.Context) (string, error) {
		client := anthropic.NewClient()
		file := anthropic.File(bytes.NewReader(bytes.Repeat([]byte("x"), 100_000)), "f.txt", "text/plain")
		answer, err := client.Beta.Files.Upload(ctx, anthropic.BetaFileUploadParams{File: file})
		if err != nil {
			return "", err
		}
		return answer.ID, nil
	},
}

func question() responses.ResponseNewParams {
	input := responses.ResponseNewParamsInputUnion{OfString: openai.String("say ping")}
	return responses.ResponseNewParams{Model: "gpt-5", Input: input}
}

func message() anthropic.MessageNewParams {
	asked := anthropic.NewUserMessage(anthropic.NewTextBlock("say ping"))
	return anthropic.MessageNewParams{Model: "claude-sonnet-5", MaxTokens: 100, Messages: []anthropic.MessageParam{asked}}
}

func cities() map[string]any { return map[string]any{"city": map[string]any{"type": "string"}} }

func main() {
	text, err := calls[os.Args[1]+" "+os.Args[2]](context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(text)
}
