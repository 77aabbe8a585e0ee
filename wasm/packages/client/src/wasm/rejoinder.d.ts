/** What the WebAssembly module exports: one device's engine, its store and its socket. */

/** Loads the module; the rest may be used after that. */
export default function init(options?: {
  readonly module_or_path?: WebAssembly.Module | URL | Response | BufferSource;
}): Promise<unknown>;

/** An open device. Failures are `{kind, message, retry}`. */
export class Client {
  private constructor();
  static open(
    options: { readonly name: string; readonly relay: string; readonly storage?: string | undefined },
    notify: (method: string, params: unknown) => void,
  ): Promise<Client>;
  /** Resolves when what the call changed is durable. A second call with the same `edit` changes nothing. */
  call(method: string, params: unknown, edit?: string): Promise<unknown>;
  close(): Promise<void>;
  readonly storage: string;
}
