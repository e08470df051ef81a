import { BindingRuntime } from '../executor/binding-runtime.js';
import { serveRank } from './rank-loop.js';

serveRank((options) => new BindingRuntime(options));
