/** Folders with test files. */
export const TEST_FOLDERS = ['libs', 'services', 'deploy', 'test'];

/** Whether a test file takes minutes or needs PyTorch, so that it runs by `npm run long-tests` instead of `npm test`. */
export const isLong = (file: string): boolean => /^test\/long\/|\/torch-file\.test\.ts$/.test(file);
