// TypeScript in threads, on Node before 22.18: `--import tsx` alone helps only the main thread.
import { register } from 'tsx/esm/api';

register();
