/** Every expression of the dashboards and rules, with the place where it stands. */
import { parser } from '@prometheus-io/lezer-promql';
import { DASHBOARDS } from '../../deploy/monitoring/generate.js';
import { GROUPS } from '../../deploy/monitoring/rules.js';

export interface Target {
  readonly expr: string;
  readonly legendFormat?: string;
  readonly instant?: boolean;
}
export interface BoardPanel {
  readonly type: string;
  readonly title?: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly Target[];
  readonly fieldConfig?: {
    readonly defaults: {
      readonly unit?: string;
      readonly min?: number;
      readonly thresholds?: { readonly steps: readonly { readonly value: number | null; readonly color: string }[] };
    };
  };
}
export interface Board {
  readonly title: string;
  readonly uid: string;
  readonly panels: readonly BoardPanel[];
}

export const BOARDS = DASHBOARDS as Readonly<Record<string, Board>>;

export interface Query {
  /** `dashboard calls, Turns: {{outcome}}`, or the name of a rule. */
  readonly place: string;
  readonly expr: string;
}

export const fillIn = (expr: string, rateInterval: string, range: string): string =>
  expr.replaceAll('$__rate_interval', rateInterval).replaceAll('$__range', range);

export const boardQueries = (): Query[] =>
  Object.entries(BOARDS).flatMap(([name, { panels }]) =>
    panels.flatMap(({ title, targets }) =>
      (targets ?? []).map(({ expr, legendFormat }) => ({
        place: `dashboard ${name}, ${title}${legendFormat ? `: ${legendFormat}` : ''}`,
        expr,
      })),
    ),
  );

export const ruleQueries = (): Query[] =>
  GROUPS.flatMap(({ rules }) =>
    rules.map((rule) => ({ place: 'alert' in rule ? rule.alert : rule.record, expr: rule.expr })),
  );

const COMPARISONS = new Set(['Gtr', 'Lss', 'Gte', 'Lte', 'Eql', 'Neq']);
const SETS = new Set(['And', 'Or', 'Unless']);

/**
 * What an alert compares: an alert that is silent returns nothing, but both sides of its comparisons must return something.
 * @returns the operands, without numbers
 */
export function comparedIn(expr: string): string[] {
  const operands = (node: Node): string[] => {
    const children = childrenOf(node);
    const [inner] = children;
    if (node.name === 'PromQL' && inner !== undefined) return operands(inner);
    const isSplit = node.name === 'BinaryExpr' && children.some(({ name }) => COMPARISONS.has(name) || SETS.has(name));
    if (!isSplit) return node.name === 'NumberDurationLiteral' ? [] : [expr.slice(node.from, node.to)];
    return [children[0], children.at(-1)].flatMap((side) => (side === undefined ? [] : operands(side)));
  };
  return operands(parser.parse(expr).topNode).filter((operand) => /[a-z]/.test(operand));
}

type Node = ReturnType<typeof parser.parse>['topNode'];

function childrenOf(node: Node): Node[] {
  const children: Node[] = [];
  for (let child = node.firstChild; child !== null; child = child.nextSibling) children.push(child);
  return children;
}
