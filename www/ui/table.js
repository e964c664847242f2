/** Rows of tables. */

/**
 * @param {(string | Node)[]} cells
 * @param {'col' | 'row'} scope whether all cells are heads of their columns, or the first one is that of its row
 */
export function tableRow(cells, scope) {
  const made = document.createElement('tr');
  made.append(...cells.map((contents, i) => {
    const isHead = scope === 'col' || i === 0;
    const cell = document.createElement(isHead ? 'th' : 'td');
    if (isHead) cell.scope = scope;
    cell.append(contents);
    return cell;
  }));
  return made;
}
