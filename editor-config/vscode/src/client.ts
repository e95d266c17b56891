import * as vscode from "vscode";
import {
  type DynamicFeature,
  ExecuteCommandRequest,
  LanguageClient,
  type Middleware,
  type StaticFeature,
} from "vscode-languageclient/node";

import { leaveJsonToVSCode } from "./duplicates.ts";

/**
 * A client that leaves the server's commands to the extension: the library would register them
 * once for each folder, and VS Code takes a command's name only once.
 */
export class FolderClient extends LanguageClient {
  override registerFeature(feature: StaticFeature | DynamicFeature<unknown>): void {
    const { registrationType } = feature as Partial<DynamicFeature<unknown>>;
    if (registrationType?.method !== ExecuteCommandRequest.method) {
      super.registerFeature(feature);
    }
  }

  /** Lets the server execute one of its commands. */
  execute(command: string, words: unknown[]): Promise<unknown> {
    return this.sendRequest(ExecuteCommandRequest.type, { command, arguments: words });
  }
}

/** Keeps from a folder's sidecar the files that belong to another folder within it. */
export function middlewareOf(folder: vscode.WorkspaceFolder | undefined): Middleware {
  const isOurs = (uri: vscode.Uri) => isOwnedBy(folder, uri);
  return {
    didOpen: async (document, next) => (isOurs(document.uri) ? next(document) : undefined),
    didChange: async (event, next) => (isOurs(event.document.uri) ? next(event) : undefined),
    didClose: async (document, next) => (isOurs(document.uri) ? next(document) : undefined),
    provideDiagnostics: leaveJsonToVSCode,
  };
}

/** Whether a file belongs to a folder and to none within it. */
export function isOwnedBy(folder: vscode.WorkspaceFolder | undefined, uri: vscode.Uri): boolean {
  const owner = vscode.workspace.getWorkspaceFolder(uri);
  return owner?.uri.toString() === folder?.uri.toString();
}
