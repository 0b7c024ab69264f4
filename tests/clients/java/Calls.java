// A program in a box: one call of openai-java, set up by its environment alone, named by its argument.
// It prints the text it got.
import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.JsonValue;
import com.openai.core.MultipartField;
import com.openai.models.files.FileCreateParams;
import com.openai.models.files.FilePurpose;
import com.openai.models.responses.FunctionTool;
import com.openai.models.responses.Response;
import com.openai.models.responses.ResponseCreateParams;
import com.openai.models.responses.ResponsesClientEvent;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

public final class Calls {
  private static final OpenAIClient CLIENT = OpenAIOkHttpClient.fromEnv();

  public static void main(String[] arguments) {
    System.out.println(
        switch (arguments[0]) {
          case "plain" -> text(CLIENT.responses().create(question().build()));
          case "stream" -> streamed();
          case "tools" -> calledWith(CLIENT.responses().create(question().addTool(weather()).build()));
          case "files" -> uploaded();
          case "websocket" -> overWebSocket();
          default -> throw new IllegalArgumentException(arguments[0]);
        });
    CLIENT.close();
  }

  private static ResponseCreateParams.Builder question() {
    return ResponseCreateParams.builder().model("gpt-5").input("say ping");
  }

  private static String text(Response response) {
    return response.output().stream()
        .flatMap(item -> item.message().stream())
        .flatMap(message -> message.content().stream())
        .flatMap(part -> part.outputText().stream())
        .map(part -> part.text())
        .collect(Collectors.joining());
  }

  private static String streamed() {
    try (var events = CLIENT.responses().createStreaming(question().build())) {
      return events.stream()
          .flatMap(event -> event.outputTextDelta().stream())
          .map(delta -> delta.delta())
          .collect(Collectors.joining());
    }
  }

  private static FunctionTool weather() {
    var parameters =
        FunctionTool.Parameters.builder()
            .putAdditionalProperty("type", JsonValue.from("object"))
            .putAdditionalProperty("properties", JsonValue.from(Map.of("city", Map.of("type", "string"))))
            .build();
    return FunctionTool.builder().name("weather").parameters(parameters).strict(false).build();
  }

  private static String calledWith(Response response) {
    return response.output().stream()
        .flatMap(item -> item.functionCall().stream())
        .map(call -> call.arguments())
        .collect(Collectors.joining());
  }

  private static String uploaded() {
    InputStream bytes = new ByteArrayInputStream("x".repeat(100_000).getBytes());
    var file = MultipartField.<InputStream>builder().value(bytes).filename("f.jsonl").build();
    return CLIENT.files().create(FileCreateParams.builder().file(file).purpose(FilePurpose.BATCH).build()).id();
  }

  private static String overWebSocket() {
    try (var connection = CLIENT.responses().connect()) {
      var create = ResponsesClientEvent.ResponseCreate.builder().model("gpt-5").input("say ping").build();
      connection.send(ResponsesClientEvent.ofResponseCreate(create));
      return text(connection.finalResponse());
    }
  }
}
