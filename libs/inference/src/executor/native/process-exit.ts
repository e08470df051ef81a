import koffi from 'koffi';

let set = false;

/**
 * Lets the process end without the destructors of native libraries, with the same exit code. Those of the WebGPU provider use the
 * Vulkan driver after its own have run, while its threads still work, which crashes the process now and then. Handlers run in
 * reverse order, so it must be called after the provider was created. Nothing is lost: Node has run its exit handlers by then, and
 * writes no output that C would still have to flush.
 */
export function skipNativeDestructors(): void {
  if (set || process.platform !== 'linux') return;
  set = true;
  const libc = koffi.load('libc.so.6');
  // glibc passes the exit code to handlers that `on_exit` registers (on_exit(3)).
  libc.func('int on_exit(void *handler, void *argument)')(libc.symbol('_exit', 'void'), null);
}
