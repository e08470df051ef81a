import { serveExecutor } from '../worker-loop.js';
import { NativeRuntime } from './native-runtime.js';

serveExecutor((options) => new NativeRuntime(options));
