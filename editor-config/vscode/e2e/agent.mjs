// An agent beside the editor: the tools of `sidecar mcp`, called over its own channel.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

export class Agent {
  #process;
  #waiting = new Map();
  #last = 0;

  static async start(folder) {
    const agent = new Agent();
    agent.#process = spawn("sidecar", ["mcp", "--workspace", folder], {
      cwd: folder,
      stdio: ["pipe", "pipe", "inherit"],
    });
    createInterface({ input: agent.#process.stdout }).on("line", (line) => agent.#receive(line));
    const clientInfo = { name: "e2e-agent", version: "1" };
    await agent.#ask("initialize", { protocolVersion: "2025-06-18", capabilities: {}, clientInfo });
    agent.#send({ method: "notifications/initialized" });
    return agent;
  }

  /** The structured answer of a tool; a refusal has its `error_code`. */
  async call(name, args) {
    const result = await this.#ask("tools/call", { name, arguments: args });
    return result.structuredContent;
  }

  end() {
    this.#process.stdin.end();
  }

  #ask(method, params) {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#send({ id, method, params });
    });
  }

  #send(message) {
    this.#process.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  }

  #receive(line) {
    const { id, result, error } = JSON.parse(line);
    const asked = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error) {
      asked?.reject(new Error(error.message));
    } else {
      asked?.resolve(result);
    }
  }
}
