export { formatTable, type Row } from '../../deploy/local/src/table.js';
