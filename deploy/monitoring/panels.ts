import {
  DashboardBuilder,
  type DashboardCursorSync,
  type DataSourceRef,
  DatasourceVariableBuilder,
  RowBuilder,
  type Threshold,
  ThresholdsConfigBuilder,
  ThresholdsMode,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { PanelBuilder as HeatmapBuilder } from '@grafana/grafana-foundation-sdk/heatmap';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TimeseriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

const PROMETHEUS: DataSourceRef = { type: 'prometheus', uid: '$datasource' };
const SHARED_CROSSHAIR: DashboardCursorSync = 1;

export type Unit = 's' | 'bytes' | 'percentunit' | 'short' | 'reqps' | 'Bps';

export interface PanelOptions {
  readonly title: string;
  /** What the panel shows and when to worry, one or two sentences. */
  readonly help: string;
  readonly unit: Unit;
  /** Legend to PromQL. `{{label}}` in a legend stands for the label's value. */
  readonly queries: Readonly<Record<string, string>>;
  /** Width in the grid of 24 columns. */
  readonly width?: number;
  /** From this value on the panel turns orange, from the second one red. With falling values the other way round. */
  readonly limits?: readonly [orange: number, red: number];
}

export type Panel = StatBuilder | TimeseriesBuilder | HeatmapBuilder;

/** Colours of a panel: green until the first limit, or above it when good values are high. */
function colours(limits: readonly [number, number] | undefined): ThresholdsConfigBuilder {
  const base = (color: string): Threshold => ({ value: null as unknown as number, color });
  const [orange, red] = limits ?? [undefined, undefined];
  const steps: Threshold[] =
    orange === undefined || red === undefined
      ? [base('blue')]
      : orange < red
        ? [base('green'), { value: orange, color: 'orange' }, { value: red, color: 'red' }]
        : [base('red'), { value: red, color: 'orange' }, { value: orange, color: 'green' }];
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps);
}

const queriesOf = (options: PanelOptions): DataqueryBuilder[] =>
  Object.entries(options.queries).map(([legend, expr]) => new DataqueryBuilder().expr(expr).legendFormat(legend));

/** One number for the present moment. */
export function stat(options: PanelOptions): Panel {
  const panel = new StatBuilder().title(options.title).description(options.help).datasource(PROMETHEUS);
  panel
    .unit(options.unit)
    .span(options.width ?? 6)
    .height(5)
    .thresholds(colours(options.limits));
  for (const query of queriesOf(options)) panel.withTarget(query.instant());
  return panel;
}

/** A curve for each series. */
export function curves(options: PanelOptions): Panel {
  const panel = new TimeseriesBuilder().title(options.title).description(options.help).datasource(PROMETHEUS);
  panel
    .unit(options.unit)
    .min(0)
    .span(options.width ?? 12)
    .height(8)
    .thresholds(colours(options.limits));
  for (const query of queriesOf(options)) panel.withTarget(query);
  return panel;
}

/** How often each range of a histogram was hit. */
export function heatmap(options: PanelOptions): Panel {
  const panel = new HeatmapBuilder().title(options.title).description(options.help).datasource(PROMETHEUS);
  panel
    .unit(options.unit)
    .span(options.width ?? 12)
    .height(8);
  for (const query of queriesOf(options)) panel.withTarget(query.format(PromQueryFormat.Heatmap));
  return panel;
}

export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

/** A dashboard as Grafana's JSON. `uid` is fixed, so that a link to it stays valid. */
export function dashboard(uid: string, title: string, rows: readonly Row[]): object {
  const builder = new DashboardBuilder(`talkmesh / ${title}`).uid(`talkmesh-${uid}`).tags(['talkmesh']).readonly();
  builder.refresh('30s').time({ from: 'now-1h', to: 'now' }).tooltip(SHARED_CROSSHAIR);
  builder.withVariable(new DatasourceVariableBuilder('datasource').type('prometheus'));
  for (const row of rows) {
    builder.withRow(new RowBuilder(row.title));
    for (const panel of row.panels) builder.withPanel(panel);
  }
  return builder.build();
}

/** PromQL: the `quantile`, 0 to 1, of a histogram over the panel's interval, by the labels `by`. */
export const quantileOf = (quantile: number, histogram: string, by: string[] = [], filter = ''): string =>
  `histogram_quantile(${quantile}, sum by (${['le', ...by].join(', ')}) (rate(${histogram}_bucket${filter}[$__rate_interval])))`;

/** PromQL: rate per second of a counter, summed by the labels `by`. */
export const rateOf = (counter: string, by: string[] = [], filter = ''): string =>
  `sum by (${by.join(', ')}) (rate(${counter}${filter}[$__rate_interval]))`;

/** PromQL: `part` of `whole`, and 0 while there is nothing. */
export const shareOf = (part: string, whole: string): string => `((${part}) / ((${whole}) > 0)) or vector(0)`;
