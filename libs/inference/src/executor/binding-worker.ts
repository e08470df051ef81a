import { BindingRuntime } from './binding-runtime.js';
import { serveExecutor } from './worker-loop.js';

serveExecutor((options) => new BindingRuntime(options));
