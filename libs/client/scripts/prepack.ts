/** Compiles the package of the working folder for publication: ES modules with source maps and type declarations. `npm pack` and `npm publish` run it. */
import { rmSync } from 'node:fs';
import ts from 'typescript';

const FOLDER = `${process.cwd()}/`;

const config = ts.getParsedCommandLineOfConfigFile(`${FOLDER}tsconfig.json`, undefined, {
  ...ts.sys,
  onUnRecoverableConfigFileDiagnostic: (diagnostic) => fail([diagnostic]),
});
if (config === undefined) throw new Error(`tsconfig.json of ${FOLDER} cannot be read`);
rmSync(`${FOLDER}dist`, { recursive: true, force: true });
const program = ts.createProgram(config.fileNames, config.options);
fail([...config.errors, ...ts.getPreEmitDiagnostics(program), ...program.emit().diagnostics]);

function fail(diagnostics: readonly ts.Diagnostic[]): void {
  if (diagnostics.length === 0) return;
  const host = {
    getCanonicalFileName: (name: string) => name,
    getCurrentDirectory: () => FOLDER,
    getNewLine: () => '\n',
  };
  process.stderr.write(ts.formatDiagnostics(diagnostics, host));
  process.exit(1);
}
