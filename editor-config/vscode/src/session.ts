import type { Readable } from "node:stream";
import { createInterface } from "node:readline";
import * as vscode from "vscode";
import { type Executable, State } from "vscode-languageclient/node";

import { FolderClient, middlewareOf } from "./client.ts";
import { findProgram, searchPath } from "./command.ts";
import { documents } from "./files.ts";
import type { State as SidecarState } from "./state.ts";

/** What a session tells the window. */
export interface Window {
  /** Where the extension lies. */
  readonly home: string;
  readonly output: vscode.LogOutputChannel;
  /** Says how the session stands now. */
  show(state: SidecarState): void;
  /** Says why it does not. */
  fail(reason: string): void;
}

/** One folder's language server: started once, restarted on demand, stopped with the folder. */
export class Session {
  private client: FolderClient | undefined;
  private attempted = false;
  /** Starts and stops follow one another, however fast they are asked for. */
  private turn: Promise<void> = Promise.resolve();

  constructor(
    private readonly window: Window,
    private readonly folder: vscode.WorkspaceFolder | undefined,
  ) {}

  /** Whether a start was tried: a missing program is reported once, not with each file. */
  get started(): boolean {
    return this.attempted;
  }

  start(): Promise<void> {
    return this.inTurn(async () => {
      if (!this.attempted) {
        await this.launch();
      }
    });
  }

  restart(): Promise<void> {
    return this.inTurn(async () => {
      await this.end();
      await this.launch();
    });
  }

  stop(): Promise<void> {
    return this.inTurn(() => this.end());
  }

  /** Lets the server execute a command; nothing where there is none. */
  async execute(command: string, words: unknown[]): Promise<unknown> {
    return this.client?.execute(command, words);
  }

  private inTurn(step: () => Promise<void>): Promise<void> {
    this.turn = this.turn.then(step, step);
    return this.turn;
  }

  private async launch(): Promise<void> {
    this.attempted = true;
    const command = configuredCommand();
    const program = findProgram(command[0] ?? "", searchPath(process.env, process.platform));
    if (program === undefined) {
      this.reportMissing(command[0] ?? "");
      return;
    }
    const executable: Executable = {
      command: program,
      args: [...command.slice(1), "lsp"],
      // Neither the current folder nor Python's module path may be the workspace.
      options: { cwd: this.window.home, env: { PYTHONSAFEPATH: "1" } },
    };
    this.window.output.info(`Starting ${[program, ...(executable.args ?? [])].join(" ")}`);
    this.window.show({ kind: "starting" });
    const client = this.connect(executable);
    this.client = client;
    try {
      await client.start();
    } catch (error) {
      this.reportFailure(`The sidecar did not start: ${messageOf(error)}`);
    }
  }

  private connect(executable: Executable): FolderClient {
    const { folder } = this;
    const testLenses = wantsTestLenses();
    const logged = (stream: Readable, output: vscode.LogOutputChannel): void => {
      const from = (vscode.workspace.workspaceFolders?.length ?? 0) > 1 ? `${folder?.name}: ` : "";
      createInterface({ input: stream }).on("line", (line) => output.info(`${from}${line}`));
    };
    const client = new FolderClient("sidecar", "Sidecar", executable, {
      documentSelector: documents(testLenses, folder?.uri.toString()),
      ...(folder === undefined ? {} : { workspaceFolder: folder }),
      // Left out when off, so that the workspace's own settings file can decide.
      ...(testLenses ? { initializationOptions: { test_lenses: true } } : {}),
      outputChannel: this.window.output,
      middleware: middlewareOf(folder),
      stdioOptions: { stdout: logged, stderr: logged },
    });
    client.onDidChangeState(({ newState }) => {
      if (this.client !== client) {
        return;
      }
      if (newState === State.Running) {
        this.window.show({ kind: "running" });
      } else if (newState === State.Starting) {
        this.window.show({ kind: "starting" });
      } else {
        this.window.show({ kind: "failed", reason: "The sidecar has ended." });
      }
    });
    return client;
  }

  private async end(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    this.window.show({ kind: "stopped" });
    try {
      await client?.dispose();
    } catch (error) {
      this.window.output.warn(`The sidecar did not end in order: ${messageOf(error)}`);
    }
  }

  private reportMissing(name: string): void {
    const reason = /[/\\]/.test(name)
      ? `There is no program \`${name}\` (setting \`sidecar.command\`; a path must be absolute).`
      : `The program \`${name}\` is not on PATH.`;
    this.reportFailure(
      `${reason} Install the Python package \`loop-orchestrator\`, or name the program in your ` +
        "user setting `sidecar.command`, then run \"Sidecar: Restart\".",
    );
  }

  private reportFailure(reason: string): void {
    this.window.output.error(reason);
    this.window.show({ kind: "failed", reason });
    this.window.fail(reason);
  }
}

export function wantsTestLenses(): boolean {
  return vscode.workspace.getConfiguration("sidecar").get("testLenses", false);
}

/** The user's value, or the default; a value from a workspace is never looked at. */
function configuredCommand(): readonly string[] {
  const found = vscode.workspace.getConfiguration("sidecar").inspect<unknown>("command");
  const value = found?.globalValue ?? found?.defaultValue;
  const words = Array.isArray(value) ? value : [];
  return words.length > 0 && words.every((word) => typeof word === "string") ? words : ["sidecar"];
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
