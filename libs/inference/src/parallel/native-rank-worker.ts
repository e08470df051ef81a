import { NativeRuntime } from '../executor/native/native-runtime.js';
import { serveRank } from './rank-loop.js';

serveRank((options) => new NativeRuntime(options));
